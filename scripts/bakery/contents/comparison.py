"""The differences between two versions: packages, files, vulnerabilities, kernels, boot files, size, inputs."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from bakery.catalog import Record
from bakery.model import inputs
from bakery.model.contents import Contents, FileList, Package
from bakery.model.documents import Strict
from bakery.model.vulnerabilities import VulnerabilityChanges

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True)
class PackageChange(Strict):
    """A package that differs. Versions that are installed side by side are in one text; it is empty for none."""

    name: str
    architecture: str
    before: str
    after: str

    @property
    def kind(self) -> Kind:
        if not self.before:
            return "added"
        return "changed" if self.after else "removed"


@dataclass(frozen=True)
class FileChange(Strict):
    """A file that differs though its package does not; without a package, `package` is empty."""

    path: str
    kind: Kind
    package: str


@dataclass(frozen=True)
class Side(Strict):
    """One of two versions; without its contents, size and kernels are unknown. Only a disk has a size."""

    image: str
    version: str
    sha256: str
    size: int | None
    kernels: tuple[str, ...] | None


@dataclass(frozen=True)
class Comparison(Strict):
    """Two versions of an architecture.

    `packages` and `boot`, the paths of boot files that differ, are None where the contents of one of them are unknown,
    and `files` also where one is older than lists of files. `vulnerabilities` is None if no database has answered for
    both.
    """

    arch: str
    before: Side
    after: Side
    inputs: tuple[inputs.Change, ...]
    packages: tuple[PackageChange, ...] | None
    boot: tuple[str, ...] | None = None
    files: tuple[FileChange, ...] | None = None
    vulnerabilities: VulnerabilityChanges | None = None
    schema: Literal["bakery/comparison/1"] = "bakery/comparison/1"


def compare_versions(
    before: Record,
    after: Record,
    contents: tuple[Contents | None, Contents | None],
    files: tuple[FileList | None, FileList | None],
    vulnerabilities: VulnerabilityChanges | None,
) -> Comparison:
    """Compare two records, their contents and files, all in this order. Packages stand for the versions of a lock."""
    old, new = contents
    old_files, new_files = files
    packages = compare_packages(old.packages, new.packages) if old and new else None
    boot = tuple(sorted({file.path for file in {*old.boot} ^ {*new.boot}})) if old and new else None
    moved = {change.name for change in packages or ()}
    file_changes = tuple(compare_files(old_files, new_files, moved)) if old_files and new_files else None
    changes = tuple(
        change
        for change in inputs.compare_inputs(before.inputs, after.inputs)
        if packages is None or not change.input.startswith(inputs.LOCKED)
    )
    sides = _side_of(before, old), _side_of(after, new)
    return Comparison(before.arch, *sides, changes, packages, boot, file_changes, vulnerabilities)


def compare_packages(before: Iterable[Package], after: Iterable[Package]) -> tuple[PackageChange, ...]:
    """Packages that differ, sorted by name."""
    old, new = _join_versions(before), _join_versions(after)
    return tuple(
        PackageChange(*key, old.get(key, ""), new.get(key, ""))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    )


def compare_files(before: FileList, after: FileList, changed_packages: Container[str]) -> Iterator[FileChange]:
    """Files that differ and that no package of `changed_packages` brought, sorted by path."""
    old, new = ({file.path: file for file in listed.files} for listed in (before, after))
    for path in sorted(old.keys() | new.keys()):
        file = new.get(path) or old[path]
        if file.package in changed_packages:
            continue
        if path not in old or path not in new:
            yield FileChange(path, "added" if path in new else "removed", file.package)
        elif (old[path].digest, old[path].size) != (new[path].digest, new[path].size):
            yield FileChange(path, "changed", file.package)


def _side_of(record: Record, contents: Contents | None) -> Side:
    size, kernels = (contents.size, contents.kernels) if contents else (None, None)
    return Side(record.image, record.version, record.sha256, size, kernels)


def _join_versions(packages: Iterable[Package]) -> dict[tuple[str, str], str]:
    """Versions by name and architecture; the Red Hat family keeps several kernels under one name."""
    versions = defaultdict(list)
    for package in packages:
        versions[package.name, package.architecture].append(package.version)
    return {key: ", ".join(sorted(names)) for key, names in versions.items()}
