"""A small project in a folder of its own, and a line that works without Packer, guests and Vault."""

import hashlib
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bakery import cli
from bakery.bake.request import BakeContext, BakeRequest
from bakery.catalog import Catalog, Record
from bakery.contents import DATABASE, DOCUMENT, FILE_LIST, UnreadableError, sbom_path
from bakery.contents.file_list import pack_files
from bakery.engine import run, toolbox
from bakery.engine.session import Session, open_catalog, open_session
from bakery.engine.steps import BakeOptions
from bakery.host.errors import BakeryError, NotFoundError
from bakery.host.events import Event
from bakery.machine.block_list import BLOCK, FILE, BlockList, digest_blocks
from bakery.machine.disk_image import BaseDisk
from bakery.model import documents
from bakery.model.baked import Baked
from bakery.model.contents import SBOM_SUFFIXES, ArchiveState, BootFile, Contents, File, FileList, Package
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Base, Check, Disk, Part, RemoteBuild, Verdict
from bakery.model.project import Project
from bakery.model.version import ImageVersion
from bakery.signing import open_keyring, save_signed

BASE = """\
name: base
description: What others are built on
os: debian-12
arch: x86_64
version: "1.0"
base:
  qemu:
    debootstrap:
      suite: bookworm
tests: [base]
targets: [local]
"""

WEB = """\
name: web
description: A page
os: debian-12
arch: x86_64
version: "1.0"
base:
  qemu:
    image: base
software:
  roles:
    - name: nginx
      vars:
        nginx_message: hello
tests: [base]
targets: [local]
channel: stable
"""

FILES = {
    "packer/images/base.yaml": BASE,
    "packer/images/web.yaml": WEB,
    "packer/templates/qemu/qemu.pkr.hcl": "# template\n",
    "packer/base/debian/network.yaml": "# recipe\n",
    "ansible/playbooks/ansible.cfg": "[defaults]\n",
    "ansible/roles/nginx/tasks/main.yml": "[]\n",
    "ansible/roles/nginx/meta/argument_specs.yml": (
        "argument_specs: {main: {options: {nginx_message: {}, nginx_port: {}}}}\n"
    ),
    "ansible/roles/seal/tasks/main.yml": "[]\n",
    "packer/tests/test_base.py": "",
    "tools/tools.toml": "".join(f'[{name}]\nversion = "1.2.3"\n' for name in ("packer", *toolbox.PLUGINS)),
}


@dataclass(frozen=True)
class CliResult:
    """How a call of the command line ended. `err` is without the line that names the catalog."""

    code: int
    out: str
    err: str
    catalog: str = ""  # that the first line of standard error names; empty without such a line


class FakeVault:
    """A session in which every secret is there, and has any key."""

    def __init__(self, runner: "CliRunner") -> None:
        self._runner = runner

    def engines(self) -> dict[str, str]:
        self._runner.examined.append("engines of Vault")
        return {"secret/": "kv-v2", "aws/": "aws"}

    def may_read(self, path: str) -> bool:
        return path not in self._runner.broken

    def read(self, path: str, key: str) -> str:
        if path in self._runner.broken:
            raise NotFoundError(f"there is no secret at {path}", hint="check the path")
        return self._runner.secrets.get(path, f"canary of {key}")

    def fields(self, path: str) -> dict[str, str]:
        return {"path": path}


@dataclass
class CliRunner:
    """The project, its command line, and what its line was asked to do, in order."""

    project: Project
    capture: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    did: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    bases: dict[str, Base] = field(default_factory=dict)  # what each image was baked on
    content: dict[str, str] = field(default_factory=dict)  # of a disk by image, where not the inputs decide
    packages: dict[str, dict[str, str]] = field(default_factory=dict)  # versions by name, of the disk of an image
    files: dict[str, tuple[File, ...]] = field(default_factory=dict)  # of the disk of an image
    entries: dict[str, dict[str, str]] = field(default_factory=dict)  # of an image whose disk has a content digest
    archives_at: str | None = ""  # the date of the package archives, where it is not that of the bake; None: not known
    broken: set[str] = field(default_factory=set)  # steps that fail: "bake web"; and tools, logins, paths in Vault
    secrets: dict[str, str] = field(default_factory=dict)  # values in Vault by path, where they matter
    examined: list[str] = field(default_factory=list)  # tools, logins, engines that a run looked at before it began
    failing_checks: set[str] = field(default_factory=set)  # images that fail their tests
    base_name: str = "debian bookworm"  # of what has no parent
    seconds: dict[str, float] = field(default_factory=dict)  # that a step says it took: "bake web"
    logs: dict[str, Path] = field(default_factory=dict)  # of the bake of an image
    baked_at: str = "2026-01-31T12:00:00+00:00"  # of every disk

    def __call__(self, *arguments: str) -> CliResult:
        """`bakery ARGUMENTS`, in this process."""
        self.capture.readouterr()
        self.monkeypatch.setattr(sys, "argv", ["bakery", *arguments])
        code = cli.main()
        out, err = self.capture.readouterr()
        first, _, rest = err.partition("\n")
        if first.startswith("catalog "):
            return CliResult(code, out, rest, first.removeprefix("catalog "))
        return CliResult(code, out, err, "")

    def write(self, path: str, text: str) -> Path:
        """A file of the project."""
        file = self.project.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def edit(self, image: str, old: str, new: str) -> None:
        """Change a definition as a user would."""
        file = self.project.definitions / f"{image}.yaml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def session(self) -> Session:
        """What a verb works with."""
        found = open_session(Path("packer/images"), Path(".bakery"), "")
        return Session(found.project, found.definitions, found.catalog, self.events.append)

    def line(self, *images: str, jobs: int = 1) -> list[Record]:
        """The whole line; what it did is in `did`, of this call only."""
        self.did.clear()
        self.events.clear()
        result = run.run_images(self.session(), list(images) or None, jobs, BakeOptions())
        result.require_success()
        return result.records

    @property
    def catalog(self) -> Catalog:
        return open_catalog(self.project, "")

    def states(self, image: str) -> dict[str, str]:
        """State by version, oldest first."""
        found = self.catalog
        return {
            version: found.record(ImageVersion(image, "x86_64", version)).state
            for version in found.versions(image, "x86_64")
        }

    def folder(self, image: str, version: str) -> Path:
        return self.project.artifact_folder(ImageVersion(image, "x86_64", version))

    # The stages, as `bakery.engine.steps` calls them.

    def bake(self, request: BakeRequest, base: BaseDisk, context: BakeContext) -> Artifact:
        image, version = request.definition, request.version
        self.begin(f"bake {image.name}")
        self.bases[image.name] = base.base
        content = self.content.get(image.name, request.input_key).encode()
        folder = context.project.artifact_folder(request.image_version)
        folder.mkdir(parents=True)
        (folder / "disk.qcow2").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        blocks = BlockList(digest_blocks(0, content.ljust(BLOCK, b"\0")))
        (folder / FILE).write_bytes(blocks.dump())
        artifact = Artifact(
            image=image.name,
            arch=image.arch,
            version=version,
            os=image.os,
            mode=image.mode,
            input_key=request.input_key,
            inputs=dict(request.inputs),
            base=base.base,
            disk=Disk(str(folder / "disk.qcow2"), "qcow2", len(content), digest, digest, blocks.sha256),
            commit="",
            tools={},
            seconds={"provision": self.seconds.get(f"bake {image.name}", 0)},
            created=self.baked_at,
            log=str(self.logs.get(image.name, "")),
            vendor_base=base.vendor_base,
        )
        save_signed(artifact, artifact, folder / "artifact.json", open_keyring(context.project), "bake-private")
        return artifact

    def verify(
        self,
        _: Project,
        image: ImageDefinition,
        artifact: Artifact,
        _disk: Path,
        secrets: Collection[str],
        _report: Any,
    ) -> Verdict:
        self.begin(f"verify {image.name}")
        passed = image.name not in self.failing_checks
        checks = (Check("boots", True), Check("answers", passed, "" if passed else "port 80 is closed"))
        return Verdict(
            image.name,
            image.arch,
            artifact.version,
            artifact.disk.sha256,
            passed,
            checks,
            "tcg",
            {"boot": self.seconds.get(f"verify {image.name}", 0)},
            "2026-01-31T12:01:00+00:00",
        )

    def expect_checks(self, _project: Project, _image: ImageDefinition, part: Part) -> list[str]:
        """The checks of `verify` above, and of builds."""
        return ["boots", "answers"] if isinstance(part, Artifact) else ["answers"]

    def read_disk(self, artifact: Artifact, disk: Path, _syft: Path) -> Contents:
        """As if the disk had the packages that a test says; unreadable where it says none."""
        return self._write_contents(artifact, disk.parent, disk.stat().st_size)

    def read_archive(self, build: RemoteBuild, archive: Path, _syft: Path) -> Contents:
        """The same for a build; its machine packed its files if a test says packages."""
        return self._write_contents(build, archive.parent, None)

    def _write_contents(self, part: Part, folder: Path, size: int | None) -> Contents:
        versions = self.packages.get(part.image)
        if versions is None:
            raise UnreadableError("no partition of the disk has ext2, ext3 or ext4")
        database = f"packages of {part.image} {part.version}".encode()
        entries = self.entries.get(part.image, {})
        listed = pack_files(FileList(self.files.get(part.image, ()), entries))
        archive = ArchiveState(
            "http://deb.debian.org/debian", "bookworm", ("main",), self.archives_at or self.baked_at, "", "f" * 64
        )
        contents = Contents(
            image=part.image,
            arch=part.arch,
            version=part.version,
            sha256=part.identity,
            size=size,
            os="Debian GNU/Linux 12 (bookworm)",
            packages=tuple(Package(name, version, "amd64", name, "") for name, version in sorted(versions.items())),
            kernels=("6.1.0-56-cloud-amd64",),
            boot=(BootFile("EFI/BOOT/BOOTX64.EFI", 4, "c" * 64),),
            database=hashlib.sha256(database).hexdigest(),
            sboms={name: hashlib.sha256(name.encode()).hexdigest() for name in SBOM_SUFFIXES},
            archives=() if self.archives_at is None else (archive,),
            files=hashlib.sha256(listed).hexdigest(),
            content_digest=hashlib.sha256(repr(sorted(entries.items())).encode()).hexdigest() if entries else "",
        )
        (folder / DATABASE).write_bytes(database)
        (folder / FILE_LIST).write_bytes(listed)
        for name in SBOM_SUFFIXES:
            sbom_path(folder, name).write_text(name)
        documents.save(contents, folder / DOCUMENT)
        return contents

    def prepare(self, *_: Any) -> BaseDisk:
        return BaseDisk(self.project.cache / "base.qcow2", Base(self.base_name, "", "d" * 64), "d" * 64)

    def publishing(self, publish: Callable[..., Any]) -> Callable[..., Any]:
        """The real stage, behind a note of what it is asked."""

        def noted(project: Project, baked: Baked, *arguments: Any) -> Any:
            self.begin(f"publish {baked.image}")
            return publish(project, baked, *arguments)

        return noted

    def find_faults(self, _: Project, names: Iterable[str]) -> Iterator[tuple[str, BakeryError]]:
        for name in names:
            self.examined.append(name)
            if name in self.broken:
                yield name, BakeryError(f"{name} is not on PATH", hint="run 'make setup'")

    def try_login(self, _: ImageDefinition, credentials: Mapping[str, str]) -> None:
        login = f"login with {credentials.get('path', 'the environment')}"
        self.examined.append(login)
        if login in self.broken:
            raise BakeryError(f"{login} is refused", where="cloud", hint="log in again")

    @contextmanager
    def vault(self, _: Any) -> Iterator[FakeVault]:
        self.begin("login")
        yield FakeVault(self)

    def begin(self, step: str) -> None:
        self.did.append(step)
        if step in self.broken:
            raise BakeryError(f"{step} failed", where="here:1", hint="mend it")
