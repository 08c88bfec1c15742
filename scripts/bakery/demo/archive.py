"""The demo's package archive: a signed one on loopback, where patches of one package appear."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bakery.demo import services
from bakery.demo.stand_ins.apt import AptArchive, stop_agent
from bakery.host import files

SERVICE = "apt"
PACKAGE = "demo-library"
SUITE, SECURITY = "demo", "demo-security"
HOST_OF_GUEST = "10.0.2.2"  # QEMU's user network gives the host's loopback this address


def start(folder: Path) -> dict[str, Any]:
    """Start the archive's server if it does not run; return the variables of the role apt_archive.

    `folder` is that of the stand-ins. The archive has at least the first version of its package.
    """
    with _open_archive(folder) as archive:
        if not archive.count_versions(PACKAGE):
            archive.add_package(SUITE, PACKAGE, "1.0")
        for suite in (SUITE, SECURITY):
            archive.sign_suite(suite)
        key = archive.key
    port = services.ensure(SERVICE, folder, lambda port: _serve(folder, port)).port
    return {
        "apt_archive_name": "demo",
        "apt_archive_uri": f"http://127.0.0.1:{port}",
        "apt_archive_proxy": f"http://{HOST_OF_GUEST}:{port}",  # a guest has a loopback of its own
        "apt_archive_suites": [SUITE, SECURITY],
        "apt_archive_key": key,
        "apt_archive_packages": [PACKAGE],
    }


def add_patch(folder: Path) -> str:
    """Add the next version of the package to the suite for security, and return it."""
    with _open_archive(folder) as archive:
        version = f"1.{archive.count_versions(PACKAGE)}"
        archive.add_package(SECURITY, PACKAGE, version)
    return version


def _serve(folder: Path, port: int) -> list[str | Path]:
    program = [sys.executable, "-m", "bakery.demo.stand_ins.apt"]
    return [*program, "--port", str(port), "--folder", _files_of(folder)]


def _files_of(folder: Path) -> Path:
    return folder / "apt"


@contextmanager
def _open_archive(folder: Path) -> Iterator[AptArchive]:
    """The archive, with a short path for gpg's sockets, whose agent ends with the block."""
    keys = folder / "apt-keys"
    keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    _files_of(folder).mkdir(exist_ok=True)
    with files.scratch(Path(tempfile.gettempdir()), "gpg") as scratch:
        home = scratch / "home"
        home.symlink_to(keys)
        try:
            yield AptArchive(_files_of(folder), home)
        finally:
            stop_agent(home)
