"""One run of Packer, and its files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bakery.host import yamlfile
from bakery.host.errors import BakeryError
from bakery.host.events import Event, Reporter
from bakery.machine.disk_image import BaseDisk
from bakery.machine.saved_boot import SavedBoot
from bakery.model.contents import ARCHIVES_REPORT, ROOT_ARCHIVE
from bakery.model.definition import ImageDefinition
from bakery.model.documents import VendorBase
from bakery.model.lock import Lock
from bakery.model.project import Project


@dataclass(frozen=True)
class Toolchain:
    """The programs of a bake. `plugins` is Packer's plugin folder, `versions` are by tool name."""

    packer: Path
    plugins: Path
    ansible_playbook: Path
    accelerator: str
    versions: Mapping[str, str]


def find_template(project: Project, definition: ImageDefinition, builder: str) -> Path:
    """The folder of the template with which a builder makes an image: the definition's own, or a shipped one."""
    own = definition.template
    return project.definitions / own if own else project.resources.template(definition.template_folder(builder))


@dataclass(frozen=True)
class Start:
    """A layer that a bake starts from: its disk with its SHA-256, and how many of the definition's roles are on it.

    `upgraded` says that the base had updates.
    """

    disk: Path
    sha256: str
    roles: int
    upgraded: bool


@dataclass(frozen=True)
class Job:
    """A bake. `scratch` is a private folder that is removed afterwards, `log` gets Packer's output.

    `builder` is the key of the definition's base; only QEMU's has a base disk here.
    """

    project: Project
    definition: ImageDefinition
    version: str
    builder: str
    base: BaseDisk | None
    toolchain: Toolchain
    scratch: Path
    log: Path
    report: Reporter
    source: str = ""  # image at the target that a remote build starts from, if this project made it
    lock: Lock | None = None
    cache_port: int = 0  # of the package cache on this machine's loopback, for a bake with a lock
    vendor_base: VendorBase | None = None  # otherwise: the newest base of a vendor
    keep: bool = False  # the disk, if the bake fails
    keep_guest: bool = False  # the guest, if the bake fails, until it is powered off
    boot: SavedBoot | None = None  # from which the guest goes on instead of booting
    definition_file: Path | None = None  # for messages
    start: Start | None = None  # in place of the base's disk
    cuts: Mapping[int, str] = field(default_factory=dict)  # keys of layers to keep, by the number of roles in each

    @property
    def subject(self) -> str:
        return f"{self.definition.name} {self.version}"

    def where(self, *keys: str | int) -> str:
        """`file:line` of a key of the definition; empty if its file is not known."""
        if self.definition_file is None:
            return ""
        try:
            return yamlfile.where(self.definition_file, keys)
        except (BakeryError, OSError):  # somebody edits it while the bake runs
            return str(self.definition_file)

    @property
    def template(self) -> Path:
        return find_template(self.project, self.definition, self.builder)

    @property
    def start_disk(self) -> Path:
        """The disk on which Packer builds."""
        if self.boot:
            return self.boot.disk
        assert self.base
        return self.start.disk if self.start else self.base.path

    @property
    def drafts(self) -> Path:
        """The folder of the layers that this bake made; it outlives a killed run, and only one run bakes an image."""
        return self.project.cache / "layer-drafts" / self.definition.name

    @property
    def layer_requests(self) -> Path:
        """The folder in which the play of a guest asks for layers."""
        return self.ansible_files / "layers"

    @property
    def output(self) -> Path:
        """The output folder of Packer, whose builder has to create it."""
        return self.scratch / "output"

    @property
    def manifest(self) -> Path:
        return self.scratch / "manifest.json"

    @property
    def console(self) -> Path:
        """The output of the guest's serial console, kept beside the log."""
        return self.log.with_suffix(".console")

    @property
    def pid_file(self) -> Path:
        """The process ID of the guest, or of the program that holds the disk of a chroot."""
        return self.scratch / "holder.pid"

    @property
    def qemu_log(self) -> Path:
        return self.scratch / "qemu.log"

    @property
    def tests(self) -> list[str]:
        """Test files to run inside of the build, for builders whose disk does not come to this machine."""
        if self.base:
            return []
        return [str(self.project.resources.image_test(name)) for name in self.definition.tests]

    @property
    def ansible_files(self) -> Path:
        """The folder in which Ansible, perhaps as another user, reads and writes on this machine."""
        return self.scratch / "ansible"

    @property
    def test_report(self) -> Path:
        return self.ansible_files / "tests.xml"

    @property
    def archives_report(self) -> Path:
        """The answer of apt on its archives, before the seal removes their lists."""
        return self.ansible_files / ARCHIVES_REPORT

    @property
    def root_archive(self) -> Path:
        """The files of a machine at a target, packed before the seal."""
        return self.ansible_files / ROOT_ARCHIVE

    @property
    def secret_references(self) -> dict[str, dict[str, str]]:
        """The locations of the secrets in Vault, for templates that read Vault themselves."""
        return {name: {"path": ref.path, "key": ref.key} for name, ref in self.definition.secrets.items()}

    def progress(self, text: str) -> None:
        self.report(Event("progress", "bake", self.subject, text))
