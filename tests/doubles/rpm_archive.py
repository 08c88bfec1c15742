"""A package archive of dnf's with packages and notices that a test decides, signed with a key of its own."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

SPEC = """\
Name: {name}
Version: {version}
Release: 1
Summary: An example
License: MIT
BuildArch: {arch}
{more}
%description
An example
%files
"""
NOTICE = """\
<update from="security@example.org" status="final" type="{type}" version="1">
<id>{number}</id><title>An example</title><severity>Important</severity><issued date="2026-01-31"/>
<description>An example</description><references/>
<pkglist><collection short="example"><name>example</name>
<package name="{name}" version="{version}" release="1" epoch="0" arch="{arch}"><filename>x</filename></package>
</collection></pkglist></update>
"""


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def build_package(folder: Path, name: str, version: str, arch: str = "noarch", more: Sequence[str] = ()) -> Path:
    """A package without files, below `folder`; `more` are lines of its spec file."""
    spec = folder / "specs" / f"{name}-{version}.spec"
    spec.parent.mkdir(parents=True, exist_ok=True)
    text = SPEC.format(name=name, version=version, arch=arch, more="\n".join(more))
    package = folder / "packages" / arch / f"{name}-{version}-1.{arch}.rpm"
    if package.exists() and spec.read_text() == text:
        return package
    spec.write_text(text)
    folders = ("--define", f"_topdir {folder / 'build'}", "--define", f"_rpmdir {folder / 'packages'}")
    run("rpmbuild", "--quiet", "-bb", "--target", arch, *folders, spec)
    return package


@dataclass
class RpmArchive:
    """A repository in `folder`, shown at `uri`. `work` has what it is made from, `keys` is a home of gpg."""

    folder: Path
    work: Path
    keys: Path
    uri: str
    notices: list[str] = field(default_factory=list)
    modules: str = ""  # a document of modulemd
    has_notices: bool = True

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.make_key()

    @property
    def key(self) -> str:
        """The public key, as text."""
        return run(*self._gpg, "--armor", "--export")

    def make_key(self) -> None:
        if self.keys.exists():
            shutil.rmtree(self.keys)
        self.keys.mkdir(mode=0o700)
        run(*self._gpg, "--passphrase", "", "--quick-generate-key", "Example archive", "ed25519", "sign", "never")

    def add_package(self, name: str, version: str, arch: str = "noarch", more: Sequence[str] = ()) -> Path:
        """Add a version of a package; `publish` shows it."""
        package = build_package(self.work, name, version, arch, more)
        return Path(shutil.copy(package, self.folder))

    def add_notice(self, name: str, version: str, kind: str = "security", arch: str = "noarch") -> None:
        number = f"EX-2026:{len(self.notices) + 1}"
        self.notices.append(NOTICE.format(type=kind, number=number, name=name, version=version, arch=arch))

    def publish(self) -> None:
        """Write the lists of the archive, and sign them."""
        run("createrepo_c", "--quiet", "--no-database", self.folder)
        if self.has_notices:
            self._add_list("updateinfo.xml", f"<updates>{''.join(self.notices)}</updates>")
        if self.modules:
            self._add_list("modules.yaml", self.modules)
        self.sign()

    def _add_list(self, name: str, text: str) -> None:
        (self.work / name).write_text(text)
        run("modifyrepo_c", self.work / name, self.folder / "repodata")

    def sign(self) -> None:
        run(*self._gpg, "--yes", "--armor", "--detach-sign", self.repomd)

    @property
    def repomd(self) -> Path:
        return self.folder / "repodata/repomd.xml"

    @property
    def _gpg(self) -> tuple[str, ...]:
        return ("gpg", "--batch", "--quiet", "--homedir", str(self.keys))
