"""A Debian disk made from packages: UEFI, GPT, an EFI system partition and a root, without mounting anything."""

import os
import re
import shlex
import shutil
import tarfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, ValidationError

from bakery.host import files, process
from bakery.host.errors import BakeryError, UsageError
from bakery.host.events import Event, Reporter, report_step
from bakery.machine import disk_image
from bakery.model.bases import Debootstrap

NEEDED_BYTES = 3 << 30  # 0.5 GiB each for archive, tree, raw disk and qcow2 of the Debian 12 recipe, and a reserve
INSTALL_SECONDS = 3600.0  # 1 minute beside a package cache, 7 from a slow mirror
RESOLVE_SECONDS = 900.0  # it fetches the indexes, which takes 3 to 10 s
# What apt says when it simulates: Inst NAME [OLD VERSION] (VERSION ARCHIVES [ARCHITECTURE]) ...
SIMULATED = re.compile(r"^Inst (?P<name>\S+) (?:\[[^]]*] )?\((?P<version>\S+) .*\[(?P<arch>[^]]+)]\)")
SOURCE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>.*)")
UNDATED: Mapping[str, str] = MappingProxyType({})
MIB = 1 << 20


class Disk(BaseModel):
    """Size of the disk and the identities of its file systems."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size_mib: int
    esp_serial: str
    root_uuid: str
    hash_seed: str


class Recipe(BaseModel):
    """recipe.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: tuple[str, ...]
    packages: tuple[str, ...]
    apt: tuple[str, ...] = ()
    dpkg: tuple[str, ...] = ()
    disk: Disk


@dataclass(frozen=True)
class AptSource:
    """A source of apt: `deb [OPTIONS] URI SUITE COMPONENTS`."""

    options: str
    uri: str
    suite: str
    components: str

    @property
    def line(self) -> str:
        """The source as sources.list(5) wants it."""
        return f"deb {f'[{self.options}] ' if self.options else ''}{self.uri} {self.suite}{self.components}"

    def use_dated(self, archives: Mapping[str, str]) -> "AptSource":
        """The source with the dated archive of its own, which has no end of validity; itself if there is none."""
        address = self.uri.rstrip("/")
        dated = archives.get(address, address)
        if dated == address:
            return self
        return replace(self, uri=dated, options=f"{self.options} check-valid-until=no".lstrip())


def list_sources(spec: Debootstrap, recipe: Path) -> tuple[AptSource, ...]:
    """The sources of a recipe in a folder; BakeryError if one is not of apt's."""
    lines = (source.format(mirror=spec.mirror, suite=spec.suite) for source in read_recipe(recipe).sources)
    return tuple(map(_parse_source, lines))


def _parse_source(line: str) -> AptSource:
    match = SOURCE.fullmatch(line.strip())
    if not match:
        raise BakeryError(f"not a source of apt: {line!r}", hint="write it as 'deb [OPTIONS] URI SUITE COMPONENT'")
    return AptSource(match["options"] or "", match["uri"], match["suite"], match["components"])


def build(
    spec: Debootstrap,
    recipe: Path,
    target: Path,
    log: Path,
    report: Reporter,
    archives: Mapping[str, str],
    clock: int,
) -> None:
    """Make `target` (qcow2, uncompressed) as the folder `recipe` says. Needs root, or fakeroot and user namespaces.

    Packages come from the dated `archives`, by the address of the archive that the base names. No file is newer than
    `clock`, in seconds since 1970, so that equal packages give equal bytes whenever the base is made.
    """
    files.require_space(target.parent, NEEDED_BYTES, f"a Debian {spec.suite} base")
    settings = read_recipe(recipe)
    subject = f"debian {spec.suite}"
    with files.scratch(target.parent, "debian") as scratch:
        tarball, raw = scratch / "root.tar", scratch / "disk.raw"
        with report_step(report, "base", subject, "install packages"):
            _install_packages(spec, recipe, tarball, archives, log, report, clock)
        with report_step(report, "base", subject, "write the disk"):
            assemble_disk(tarball, settings, recipe, raw)
            disk_image.to_qcow2(raw, target)


def resolve(spec: Debootstrap, recipe: Path, archives: Mapping[str, str] = UNDATED) -> tuple[str, ...]:
    """The packages that `build` would install now, sorted: "NAME VERSION ARCHITECTURE" each.

    ProcessError if apt cannot say it: its simulation is stricter than the installation (mmdebstrap(1), --simulate).
    """
    with TemporaryDirectory(prefix="bakery-resolve-") as folder:
        tarball = Path(folder, "root.tar")
        command = _command(spec, recipe, tarball, archives, "--simulate", "--verbose")
        lines: list[str] = []
        process.run(command, env=_environment(tarball), timeout=RESOLVE_SECONDS, on_output=lines.append)
    packages = (match for match in map(SIMULATED.match, lines) if match)
    return tuple(sorted({f"{match['name']} {match['version']} {match['arch']}" for match in packages}))


def assemble_disk(tarball: Path, settings: Recipe, recipe: Path, raw: Path) -> None:
    """Write a root file system, given as a tar archive, to a disk. The same archive gives the same bytes."""
    with _unpack_tree(tarball, raw.parent) as (tree, owners):
        clock = str(int(max(path.lstat().st_mtime for path in tree.rglob("*"))))
        # mke2fs before 1.47.1 reads only the first of these, all other programs read only the second.
        env = {"E2FSPROGS_FAKE_TIME": clock, "SOURCE_DATE_EPOCH": clock, "TZ": "UTC"}
        with raw.open("xb") as stream:
            stream.truncate(settings.disk.size_mib * MIB)
        process.run(["sh", "-c", 'sfdisk --quiet "$1" <"$2"', "sfdisk", raw, recipe / "disk.sfdisk"])
        esp, root = disk_image.partitions(raw)
        _write_esp(raw, esp, tree / "boot" / "efi", settings.disk, env)
        _write_root(raw, root, tree, owners, settings.disk, env)


def read_recipe(recipe: Path) -> Recipe:
    """The recipe in a folder; UsageError if it is missing or wrong."""
    path = recipe / "recipe.toml"
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text()))
    except FileNotFoundError as error:
        raise UsageError("the recipe of the Debian base is missing", where=str(path)) from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"not valid TOML: {error}", where=str(path)) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"'{'.'.join(map(str, first['loc']))}': {first['msg']}", where=str(path)) from error


def _install_packages(
    spec: Debootstrap,
    recipe: Path,
    tarball: Path,
    archives: Mapping[str, str],
    log: Path,
    report: Reporter,
    clock: int,
) -> None:
    overlay = tarball.with_name("overlay.tar")
    _pack_folder(recipe / "rootfs", overlay)

    def follow(line: str) -> None:
        if line.startswith("I: ") and line.endswith("...") and "/" not in line:  # others are about its files
            report(Event("progress", "base", f"debian {spec.suite}", line[3:]))

    lines = "".join(f"{source.line}\n" for source in list_sources(spec, recipe))
    own_sources = f'printf %s {shlex.quote(lines)} >"$1/etc/apt/sources.list"'
    command = _command(
        spec,
        recipe,
        tarball,
        archives,
        *([f"--customize-hook={own_sources}"] if archives else []),
        "--skip=cleanup/apt/lists",  # fetching them takes 25 s of a bake
        f"--customize-hook=tar-in {shlex.quote(str(overlay))} /",
        # As text, since the namespace's user may have no right to read the caller's files.
        f"--customize-hook={(recipe / 'customize.sh').read_text()}",
    )
    try:
        # mmdebstrap(1) and initramfs-tools read it.
        env = {**_environment(tarball), "SOURCE_DATE_EPOCH": str(clock)}
        process.run(command, env=env, timeout=INSTALL_SECONDS, log=log, on_output=follow)
    except process.ProcessError as error:
        raise BakeryError(
            f"could not install Debian {spec.suite} from {spec.mirror}: {error.message}",
            detail=error.tail,
            hint=error.hint or "check that the mirror answers and has this release",
            log=log,
        ) from error


def _command(
    spec: Debootstrap, recipe: Path, tarball: Path, archives: Mapping[str, str], *options: str
) -> list[str | Path]:
    settings = read_recipe(recipe)
    return [
        "mmdebstrap",
        "--mode=unshare",  # also for root: the mounts have their own namespace and end with it, even by kill -9
        "--variant=minbase",
        "--format=tar",
        f"--include={','.join(settings.packages)}",
        *(f"--aptopt={option}" for option in settings.apt),
        *(f"--dpkgopt={option}" for option in settings.dpkg),
        *options,
        spec.suite,
        tarball,
        *(source.use_dated(archives).line for source in list_sources(spec, recipe)),
    ]


def _environment(tarball: Path) -> dict[str, str]:
    return {"TMPDIR": str(tarball.parent)} if os.geteuid() == 0 else {}


def _pack_folder(folder: Path, tarball: Path) -> None:
    """Pack the files of a folder as a tar archive that root owns. Only the executable bit counts, as in git."""

    def owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    with tarfile.open(tarball, "w") as stream:
        for path in sorted(folder.iterdir()):
            stream.add(path, arcname=path.name, filter=owned_by_root)


@contextmanager
def _unpack_tree(tarball: Path, parent: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """An unpacked archive, and a command prefix with which programs see its owners without root."""
    owners: tuple[str, ...] = ()
    with files.scratch(parent, "tree") as scratch:
        tree = scratch / "root"
        tree.mkdir(mode=0o755)
        if os.geteuid() != 0:
            state = scratch / "owners"
            state.touch()
            owners = ("fakeroot", "-i", str(state), "-s", str(state), "--")
        # A kernel fills /dev itself, and containers may not make devices.
        unpack = ("tar", "-C", tree, "--xattrs", "--xattrs-include=*", "--exclude=./dev/*", "-xpf", tarball)
        process.run([*owners, *unpack])
        yield tree, owners


def _write_esp(raw: Path, esp: disk_image.Partition, content: Path, disk: Disk, env: dict[str, str]) -> None:
    """Move a folder's content to the FAT file system of the EFI system partition."""
    image = f"{raw}@@{esp.start}"
    # FAT32, counted in sectors of 512 bytes; heads and sectors per track mean nothing any more, but must be there.
    size = ("-T", str(esp.size // 512), "-H", str(esp.start // 512), "-h", "64", "-s", "32")
    process.run(["mformat", "-i", image, "-F", *size, "-N", disk.esp_serial, "-v", "ESP", "::"], env=env)
    process.run(["mcopy", "-i", image, "-s", "-m", "-Q", *sorted(content.iterdir()), "::"], env=env)
    for path in content.iterdir():
        shutil.rmtree(path)
    clock = int(env["SOURCE_DATE_EPOCH"])
    os.utime(content, (clock, clock))  # its last change was this removal


def _write_root(
    raw: Path, root: disk_image.Partition, tree: Path, owners: tuple[str, ...], disk: Disk, env: dict[str, str]
) -> None:
    options = f"offset={root.start},hash_seed={disk.hash_seed},root_owner=0:0"
    # 1 % is reserved for root: the default of 5 % is for larger disks.
    make = ("mke2fs", "-q", "-t", "ext4", "-L", "root", "-m", "1", "-U", disk.root_uuid, "-E", options)
    process.run([*owners, *make, "-d", tree, raw, f"{root.size // 1024}k"], env=env)
    _set_times(raw, root, tree, env)


def _set_times(raw: Path, root: disk_image.Partition, tree: Path, env: dict[str, str]) -> None:
    """Set when files were read and changed to the clock of `env`: mke2fs before 1.47.1 takes it from the tree."""
    paths = ["/", *(f"/{path.relative_to(tree)}" for path in sorted(tree.rglob("*")))]
    script = raw.with_name("times")
    script.write_text(
        "".join(f'sif "{path}" {name} @{env["SOURCE_DATE_EPOCH"]}\n' for path in paths for name in ("atime", "ctime"))
    )
    # debugfs reads options from a name with a question mark; without its folder, this name has none.
    disk = f"{raw.name}?offset={root.start}"
    process.run(["debugfs", "-w", "-f", script.absolute(), disk], cwd=raw.parent, env=env)
