"""A package archive of apt's, signed with a key of its own, whose content a test decides."""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from doubles.serving import at_work

RELEASE = """\
Origin: Test
Label: Test
Suite: {suite}
Codename: {suite}
Date: {date}
Architectures: amd64
Components: main
SHA256:
 {sha256} {size} main/binary-amd64/Packages
"""


class AptArchive:
    """Suites of packages below `folder`, which a server at `uri` shows."""

    def __init__(self, folder: Path, keys: Path, uri: str) -> None:
        self.uri = uri
        self._folder = folder
        self._gpg = ("gpg", "--batch", "--quiet", "--homedir", str(keys))
        self._run(*self._gpg, "--passphrase", "", "--quick-generate-key", "Test archive", "ed25519", "sign", "never")

    @property
    def key(self) -> str:
        """The public key, as text."""
        return self._run(*self._gpg, "--armor", "--export")

    def add_package(self, suite: str, name: str, version: str) -> None:
        """Add a version of a package with one file and one configuration file, and sign the suite anew."""
        tree = self._folder / "trees" / f"{name}_{version}"
        for path, text in {
            "DEBIAN/control": f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: T <t@example.org>\n"
            "Description: a test\n",
            "DEBIAN/conffiles": f"/etc/{name}.conf\n",
            f"etc/{name}.conf": f"{version}\n",
            f"usr/lib/{name}/version": f"{version}\n",
        }.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        package = self._folder / "pool" / suite / f"{name}_{version}.deb"
        package.parent.mkdir(parents=True, exist_ok=True)
        self._run("dpkg-deb", "--root-owner-group", "--build", str(tree), str(package))
        self.sign_suite(suite)

    def sign_suite(self, suite: str) -> None:
        """Write the index of a suite, which may have no package, and sign it."""
        index = "\n".join(map(self._describe_package, sorted((self._folder / "pool" / suite).glob("*.deb")))).encode()
        release = self._folder / "dists" / suite
        (release / "main" / "binary-amd64").mkdir(parents=True, exist_ok=True)
        (release / "main" / "binary-amd64" / "Packages").write_bytes(index)
        date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")
        sha256 = hashlib.sha256(index).hexdigest()
        text = RELEASE.format(suite=suite, date=date, sha256=sha256, size=len(index))
        subprocess.run(
            [*self._gpg, "--yes", "--clearsign", "-o", release / "InRelease"], input=text.encode(), check=True
        )

    def _describe_package(self, package: Path) -> str:
        content = package.read_bytes()
        return (
            f"{self._run('dpkg-deb', '--field', str(package))}Filename: {package.relative_to(self._folder)}\n"
            f"Size: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
        )

    def _run(self, *command: str) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def apt_archive(folder: Path) -> Iterator[AptArchive]:
    """An empty archive, with a server that shows it until the block ends."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    keys = Path(tempfile.mkdtemp(prefix="gpg-"))  # sockets there need a short path
    try:
        with at_work(ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))) as server:
            yield AptArchive(folder, keys, f"http://127.0.0.1:{server.server_port}")
    finally:
        subprocess.run(["gpgconf", "--homedir", keys, "--kill", "gpg-agent"], check=True)
        shutil.rmtree(keys, ignore_errors=True)  # the agent removes its sockets at the same time
