"""A package archive of apt's, signed with a key of its own, and a server that shows it.

    python -m bakery.demo.stand_ins.apt --port 8300 --folder .bakery/demo/stand-ins/apt

serves the files of a folder on loopback until it is interrupted.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from bakery.host import process

RELEASE = """\
Origin: Example
Label: Example
Suite: {suite}
Codename: {suite}
Date: {date}
Architectures: amd64
Components: main
SHA256:
 {sha256} {size} main/binary-amd64/Packages
"""
CONTROL = """\
Package: {name}
Version: {version}
Architecture: all
Maintainer: Example <packages@example.org>
Description: an example
"""


class AptArchive:
    """Suites of packages below `folder`. `keys` is a home of gpg with a short path, for its sockets."""

    def __init__(self, folder: Path, keys: Path) -> None:
        self._folder = folder
        self._gpg = ("gpg", "--batch", "--quiet", "--homedir", str(keys))
        if not self._run(*self._gpg, "--list-secret-keys"):
            self._run(
                *self._gpg, "--passphrase", "", "--quick-generate-key", "Example archive", "ed25519", "sign", "never"
            )

    @property
    def key(self) -> str:
        """The public key, as text."""
        return self._run(*self._gpg, "--armor", "--export")

    def count_versions(self, name: str) -> int:
        """The number of versions of a package in all suites."""
        return len(list(self._folder.glob(f"pool/*/{name}_*.deb")))

    def add_package(self, suite: str, name: str, version: str) -> None:
        """Add a version of a package with one file and one configuration file, and sign the suite again."""
        tree = self._folder / "trees" / f"{name}_{version}"
        for path, text in {
            "DEBIAN/control": CONTROL.format(name=name, version=version),
            "DEBIAN/conffiles": f"/etc/{name}.conf\n",
            f"etc/{name}.conf": f"{version}\n",
            f"usr/lib/{name}/version": f"{version}\n",
        }.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        package = self._folder / "pool" / suite / f"{name}_{version}.deb"
        package.parent.mkdir(parents=True, exist_ok=True)
        draft = tree.with_name(f"{tree.name}.deb")
        self._run("dpkg-deb", "--root-owner-group", "--build", str(tree), str(draft))
        draft.replace(package)  # an interrupted run leaves no half package in the pool
        self.sign_suite(suite)

    def sign_suite(self, suite: str) -> None:
        """Write the index of a suite, which may have no package, and sign it."""
        index = "\n".join(map(self._describe_package, sorted((self._folder / "pool" / suite).glob("*.deb")))).encode()
        release = self._folder / "dists" / suite
        (release / "main" / "binary-amd64").mkdir(parents=True, exist_ok=True)
        (release / "main" / "binary-amd64" / "Packages").write_bytes(index)
        text = RELEASE.format(
            suite=suite,
            date=datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S UTC"),
            sha256=hashlib.sha256(index).hexdigest(),
            size=len(index),
        )
        (release / "Release").write_text(text)
        self._run(*self._gpg, "--yes", "--clearsign", "-o", str(release / "InRelease"), str(release / "Release"))

    def _describe_package(self, package: Path) -> str:
        content = package.read_bytes()
        return (
            f"{self._run('dpkg-deb', '--field', str(package))}Filename: {package.relative_to(self._folder)}\n"
            f"Size: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
        )

    def _run(self, *command: str) -> str:
        return process.run(command).stdout


def stop_agent(keys: Path) -> None:
    """Stop gpg's agent, which a home of gpg has since its first signature."""
    process.run(["gpgconf", "--homedir", keys, "--kill", "gpg-agent"])


class ArchiveHandler(SimpleHTTPRequestHandler):
    """Shows the files of a folder. It ignores the name of the host, so that a guest may use it as a proxy."""

    def translate_path(self, path: str) -> str:
        return super().translate_path(urlsplit(path).path)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="A package archive of apt's on loopback.")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--folder", type=Path, required=True, help="folder of dists/ and pool/")
    options = parser.parse_args(arguments)
    handler = partial(ArchiveHandler, directory=options.folder)
    with ThreadingHTTPServer(("127.0.0.1", options.port), handler) as server:
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
