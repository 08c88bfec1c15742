"""The search for secrets on a file system with fragments, as e2fsck lists them."""

import gzip
import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.machine import secret_search

pytestmark = pytest.mark.integration

SECRET = 'canary & "5e1f08b2" <pass>'
BLOCK = 4096
OFFSET = 1 << 20


@pytest.fixture
def fragmented(tmp_path: Path) -> Callable[[bytes], Path]:
    """Writes a disk with one file, each of whose blocks is in another place."""

    def write(content: bytes) -> Path:
        raw, file, folder = tmp_path / "disk.raw", tmp_path / "content", tmp_path / "files"
        folder.mkdir()
        for number in range(1000):
            (folder / f"{number}").write_bytes(bytes((number % 255 + 1,)) * BLOCK)
        file.write_bytes(content)
        raw.touch()
        subprocess.run(["truncate", "-s", "10M", raw], check=True)
        subprocess.run(["sfdisk", "-q", raw], input="label: gpt\nstart=2048, size=16384\n", text=True, check=True)
        options = ["-q", "-b", f"{BLOCK}", "-O", "^has_journal", "-N", "2000", "-E", f"offset={OFFSET}", "-d"]
        subprocess.run(["mke2fs", "-t", "ext4", *options, folder, raw, "8M"], check=True)
        requests = [f"rm /{number}" for number in range(0, 1000, 2)]
        script = tmp_path / "requests"
        script.write_text("\n".join([*requests, f"write {file} /fragmented\n"]))
        subprocess.run(
            ["debugfs", "-w", "-f", script, f"{raw.name}?offset={OFFSET}"],
            check=True,
            cwd=tmp_path,
            capture_output=True,
        )
        return raw

    return write


def test_a_value_in_two_blocks_is_found(fragmented: Callable[[bytes], Path]) -> None:
    raw = fragmented(b"\n" * (BLOCK - 10) + SECRET.encode() + b"\n" * BLOCK)
    assert SECRET.encode() not in raw.read_bytes()
    (check,) = secret_search.search(raw, [SECRET])
    assert not check.passed
    assert check.detail.endswith("/fragmented")


def test_a_compressed_file_in_many_blocks_is_searched(fragmented: Callable[[bytes], Path]) -> None:
    noise = hashlib.shake_256(b"noise").digest(5 * BLOCK)
    raw = fragmented(gzip.compress(noise + SECRET.encode() + noise))
    (check,) = secret_search.search(raw, [SECRET])
    assert "in plain text in gzip at byte" in check.detail
    assert check.detail.endswith("/fragmented")
