"""Finds or makes each program of tools.toml and links it into the project.

Programs live in `<cache>/tools/<name>/<version>/<release or source-…>/`, shared by all checkouts. A folder appears
there by one rename, so that it is either complete or absent. `.bakery/tools/bin` holds a link per program: the commands
look there first. Packer copies its plugins to `.bakery/tools/packer-plugins` (PACKER_PLUGIN_PATH) by itself.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools import source
from tools.pins import Tool
from tools.progress import Progress, SetupError
from tools.vendor import UnreachableError, Vendor

# Without it Packer, Terraform, Vault, syft and grype call home on every start and wait for an answer.
QUIET = {
    "CHECKPOINT_DISABLE": "1",
    "SYFT_CHECK_FOR_APP_UPDATE": "false",
    "GRYPE_CHECK_FOR_APP_UPDATE": "false",
}
VERSION_TIMEOUT_S = 30


@dataclass(frozen=True)
class Places:
    """The folders of programs: `cache` outlives the checkout, `bin` and `plugins` belong to it."""

    cache: Path
    bin: Path
    plugins: Path

    @property
    def go(self) -> Path:
        """The caches of Go while tools are built."""
        return self.cache.with_name("go")


def install(tools: list[Tool], places: Places, progress: Progress) -> None:
    """Leaves every tool linked in `places.bin`; plugins need packer earlier in the list."""
    vendor = Vendor(progress)
    for tool in tools:
        program = resolve(tool, places, vendor, progress)
        if tool.plugin is None:
            link(program, places.bin / tool.name)
        else:
            install_plugin(tool, tool.plugin, program, places, progress)


def resolve(tool: Tool, places: Places, vendor: Vendor, progress: Progress) -> Path:
    """Tries PATH, then the cache, then the vendor's release, then a build from source."""
    folder = places.cache / tool.name / tool.version
    program = on_path(tool, places, progress) or cached(tool, folder)
    if program is not None:
        return program
    with locked(folder / "lock", tool.name, progress):
        # Another set-up may have finished it while this one waited.
        return cached(tool, folder) or make(tool, folder, places.go, vendor, progress)


def on_path(tool: Tool, places: Places, progress: Progress) -> Path | None:
    """The program on PATH, if it reports a version that the pin accepts; the project's own links do not count."""
    folders = [f for f in os.get_exec_path() if Path(f).resolve() != places.bin.resolve()]
    path = shutil.which(tool.name, path=os.pathsep.join(folders))
    if path is None:
        return None
    version = reported_version(Path(path), tool)
    if version is not None and tool.accepts(version):
        return Path(path)
    progress.say(tool.name, f"{path} is {version or 'not usable'}, {tool.accepted} is needed: not used")
    return None


def reported_version(program: Path, tool: Tool) -> str | None:
    """The version; None if the program does not start, does not answer or prints no version."""
    try:
        answer = subprocess.run(
            [program, *tool.version_args],
            env={**os.environ, **QUIET},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\bv?(\d+\.\d+\.\d+(?:[-+][\w.]+)?)", answer.stdout)
    return match[1] if match else None


def cached(tool: Tool, folder: Path) -> Path | None:
    programs = (folder / origin / tool.name for origin in ("release", f"source-{tool.recipe}"))
    return next((program for program in programs if os.access(program, os.X_OK)), None)


def make(tool: Tool, folder: Path, caches: Path, vendor: Vendor, progress: Progress) -> Path:
    with scratch(folder) as temporary:
        try:
            progress.say(tool.name, f"fetching {tool.version} from the vendor")
            vendor.fetch(tool.release, temporary, tool.name)
            return keep(tool, temporary, folder / "release", progress)
        except UnreachableError as error:
            progress.say(tool.name, f"the vendor's release is not reachable ({error})")
    with scratch(folder) as temporary:
        source.build(tool, temporary / tool.name, caches, progress)
        return keep(tool, temporary, folder / f"source-{tool.recipe}", progress)


def keep(tool: Tool, temporary: Path, final: Path, progress: Progress) -> Path:
    """Moves a program to its final place if it starts and reports the pinned version."""
    version = reported_version(temporary / tool.name, tool)
    if version != tool.version:
        raise SetupError(f"the new {tool.name} reports version {version}, expected {tool.version}")
    shutil.rmtree(final, ignore_errors=True)
    temporary.rename(final)
    progress.say(tool.name, f"{tool.version} installed")
    return final / tool.name


@contextmanager
def locked(path: Path, topic: str, progress: Progress) -> Iterator[None]:
    """Lets one set-up run at a time; the kernel frees the lock of a killed one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(topic, "waiting for another set-up to finish")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A folder on the same file system as `folder`; removes the remains of killed runs. Needs the lock."""
    for leftover in folder.glob("tmp-*"):
        shutil.rmtree(leftover)
    temporary = Path(tempfile.mkdtemp(prefix="tmp-", dir=folder))
    temporary.chmod(0o755)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def link(target: Path, place: Path) -> None:
    """Points `place` at `target`, without a moment in which it is missing."""
    if place.is_symlink() and place.readlink() == target:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(f".{place.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(place)


def install_plugin(tool: Tool, address: str, program: Path, places: Places, progress: Progress) -> None:
    """Leaves this one as the only version of the plugin: of several, Packer loads the newest."""
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    folder = places.plugins / address
    if plugin_is_in_place(folder, digest):
        return
    shutil.rmtree(folder, ignore_errors=True)
    env = {**QUIET, "PACKER_PLUGIN_PATH": str(places.plugins)}
    argv: list[str | Path] = [places.bin / "packer", "plugins", "install", "--path", program, address]
    progress.run(tool.name, "installing it into Packer", argv, env=env)


def plugin_is_in_place(folder: Path, digest: str) -> bool:
    """Packer loads `<plugin>` only beside a `<plugin>_SHA256SUM` that fits it."""
    match list(folder.glob("*_SHA256SUM")):
        case [sums] if sums.read_text().strip() == digest:
            plugin = sums.with_name(sums.name.removesuffix("_SHA256SUM"))
            return plugin.is_file() and hashlib.sha256(plugin.read_bytes()).hexdigest() == digest
    return False
