"""Downloads: right, wrong, cut short, and from nowhere."""

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools.install import resolve
from tools.progress import SetupError
from tools.vendor import UnreachableError, Vendor

if TYPE_CHECKING:
    from unit.tools.conftest import FakeTool


def test_a_release_with_the_right_checksum_is_unpacked(bench: "FakeTool", tmp_path: Path) -> None:
    program = Vendor(bench.progress).fetch(bench.tool.release, tmp_path, "forge")
    assert program.read_text().startswith("#!/bin/sh")
    assert program.stat().st_mode & 0o111
    assert not (tmp_path / "forge.zip").exists()


def test_a_release_may_be_a_tar(bench: "FakeTool", tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        entry = tarfile.TarInfo("forge")
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"text"))
    bench.server.files["/forge.tar.gz"] = buffer.getvalue()
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    release = replace(bench.tool.release, url=f"{bench.server.address}/forge.tar.gz", sha256=digest)
    program = Vendor(bench.progress).fetch(release, tmp_path, "forge")
    assert program.read_text() == "text"
    assert program.stat().st_mode & 0o111


def test_a_wrong_checksum_stops_set_up_and_is_not_worked_around(bench: "FakeTool") -> None:
    bench.put_go_on_path()
    tool = replace(bench.tool, release=replace(bench.tool.release, sha256="0" * 64))
    with pytest.raises(SetupError, match=f"but {'0' * 64} is expected"):
        resolve(tool, bench.places, Vendor(bench.progress), bench.progress)
    assert bench.leftovers() == []
    assert not (bench.bin / "go.calls").exists()


def test_a_download_cut_short_does_not_count(bench: "FakeTool", tmp_path: Path) -> None:
    bench.server.cut.add("/forge.zip")
    with pytest.raises(UnreachableError, match="more expected"):
        Vendor(bench.progress).fetch(bench.tool.release, tmp_path, "forge")
    assert not (tmp_path / "forge").exists()


def test_the_vendors_checksum_file_decides_where_no_checksum_is_pinned(bench: "FakeTool", tmp_path: Path) -> None:
    release = replace(bench.tool.release, sha256=None, sums=f"{bench.server.address}/sums")
    bench.server.files["/sums"] = f"{'1' * 64}  other.zip\n{bench.tool.release.sha256}  forge.zip\n".encode()
    assert Vendor(bench.progress).fetch(release, tmp_path, "forge").exists()

    bench.server.files["/sums"] = f"{'1' * 64}  forge.zip\n".encode()
    with pytest.raises(SetupError, match="is expected"):
        Vendor(bench.progress).fetch(release, tmp_path, "forge")

    bench.server.files["/sums"] = b""
    with pytest.raises(SetupError, match=r"does not name forge\.zip"):
        Vendor(bench.progress).fetch(release, tmp_path, "forge")


def test_a_missing_file_says_what_the_server_answered(bench: "FakeTool", tmp_path: Path) -> None:
    bench.server.files.clear()
    with pytest.raises(UnreachableError, match="404"):
        Vendor(bench.progress).fetch(bench.tool.release, tmp_path, "forge")


def test_a_host_that_does_not_answer_is_asked_once(bench: "FakeTool", tmp_path: Path) -> None:
    # Port 1 of loopback: nothing listens there, so the refusal is immediate.
    release = replace(bench.tool.release, url="http://127.0.0.1:1/forge.zip")
    vendor = Vendor(bench.progress)
    with pytest.raises(UnreachableError, match="refused"):
        vendor.fetch(release, tmp_path, "forge")
    with pytest.raises(UnreachableError, match="did not answer earlier in this run"):
        vendor.fetch(release, tmp_path, "forge")


def test_other_machines_build_from_source(bench: "FakeTool", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(UnreachableError, match="Linux on aarch64"):
        Vendor(bench.progress).fetch(bench.tool.release, tmp_path, "forge")
    assert bench.server.asked == []


def test_a_stopped_set_up_stops_its_download(bench: "FakeTool", tmp_path: Path) -> None:
    bench.progress.stop()
    with pytest.raises(SetupError, match="stopped"):
        Vendor(bench.progress).fetch(bench.tool.release, tmp_path, "forge")
