import base64
import bz2
import gzip
import hashlib
import io
import lzma
import os
import textwrap
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from bakery.host.errors import BakeryError
from bakery.host.secret_search import matcher, streams
from bakery.machine import disk_image, secret_search
from bakery.machine.root import NoRootError
from bakery.model.documents import Check
from encoders import ALL

SECRET = 'p/ss+w\u00f6rd "17" & more'
PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    + "\n".join("kEy" * 20 + str(line) for line in range(4))
    + "\n-----END PRIVATE KEY-----\n"
)


@pytest.fixture(autouse=True)
def no_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(raw: Path) -> None:
        raise NoRootError("none")

    monkeypatch.setattr(secret_search, "open_root", refuse)
    monkeypatch.setattr(secret_search, "read_original_modules", lambda root: ())


def search(folder: Path, content: bytes, *secrets: str) -> list[Check]:
    raw = folder / "disk.raw"
    with raw.open("wb") as stream:
        stream.seek(1 << 20)
        stream.write(content)
        stream.truncate(4 << 20)
    return secret_search.search(raw, secrets)


@pytest.mark.parametrize("form", ALL)
def test_every_form_is_found_and_never_shown(tmp_path: Path, form: str) -> None:
    (check,) = search(tmp_path, b"before" + ALL[form](SECRET.encode()) + b"after", SECRET)
    assert not check.passed
    assert "secret 1 of 1 in " in check.detail
    assert " at byte 1048" in check.detail
    assert SECRET not in check.detail


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zlib, fast": lambda content: zlib.compress(content, 1),
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zstd": zstandard.compress,
    "zip": lambda content: zip_of(content),
}


def zip_of(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/name", content)
    return file.getvalue()


def noise_of(size: int) -> bytes:
    return hashlib.shake_256(b"noise").digest(size)


def prose(secret: str) -> bytes:
    """A text that compresses, with a secret that its repetitions leave in no literal piece."""
    return "".join(f"{secret[:at]} is a part of it\n" for at in range(1, len(secret) + 1)).encode() * 9


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_a_compressed_file_is_searched(tmp_path: Path, kind: str) -> None:
    content = b"other bytes" + COMPRESSORS[kind](prose(SECRET)) + b"\0" * 100
    assert SECRET.encode() not in content
    (check,) = search(tmp_path, content, SECRET)
    assert f"secret 1 of 1 in plain text in {kind.partition(',')[0]} at byte {(1 << 20) + 11}: " in check.detail


def test_a_file_compressed_in_an_archive_is_searched(tmp_path: Path) -> None:
    inner = b"header" + gzip.compress(base64.b64encode(prose(SECRET)))
    (check,) = search(tmp_path, zstandard.compress(os.urandom(3000) + lzma.compress(inner)), SECRET)
    assert "in base64 in gzip in xz in zstd at byte" in check.detail


def count_streams(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The compressed bytes of the streams that are decompressed from now on."""
    sizes: list[int] = []
    windows = streams._Stream.windows

    def count(stream: streams._Stream, overlap: int) -> Iterator[bytes]:
        yield from windows(stream, overlap)
        if stream.size:
            sizes.append(stream.size)

    monkeypatch.setattr(streams._Stream, "windows", count)
    return sizes


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_a_stream_that_is_there_twice_is_decompressed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    sizes = count_streams(monkeypatch)
    packed = COMPRESSORS[kind](noise_of(3000))
    assert search(tmp_path, (packed + b"other bytes") * 3, SECRET)[0].passed
    assert len(sizes) == 1


def test_streams_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    def pack(text: bytes) -> bytes:
        packer = zlib.compressobj()
        return (
            packer.compress(noise_of(9000)) + packer.flush(zlib.Z_SYNC_FLUSH) + packer.compress(text) + packer.flush()
        )

    first, second = pack(prose("of the same length").replace(b"length", b"size")), pack(prose(SECRET))
    assert first[:9000] == second[:9000]
    for packed in (first + second, pack(b"") + second):
        (check,) = search(tmp_path, packed, SECRET)
        assert f"in zlib at byte {(1 << 20) + len(packed) - len(second)}:" in check.detail


def test_a_stream_is_searched_again_where_more_levels_are_left(tmp_path: Path) -> None:
    """The fourth level is left out, and the same bytes stand one level higher later."""
    third = lzma.compress(noise_of(2000) + gzip.compress(prose(SECRET)))
    hidden = zstandard.compress(bz2.compress(third + noise_of(600)))
    assert search(tmp_path, hidden, SECRET)[0].passed, "four levels"
    assert not search(tmp_path, hidden + third, SECRET)[0].passed


def test_the_part_of_a_damaged_file_is_searched(tmp_path: Path) -> None:
    packed = gzip.compress(prose(SECRET) + noise_of(1 << 20))
    assert not search(tmp_path, packed[: 1 << 19], SECRET)[0].passed


def test_a_large_stream_is_searched_in_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "WINDOW", 1 << 16)
    monkeypatch.setattr(streams, "OVERLAP", 1 << 10)
    noise = noise_of(1 << 18)
    for place in (0, 65_530, 200_000, len(noise)):
        packed = zlib.compress(noise[:place] + SECRET.encode() + noise[place:])
        assert not search(tmp_path, packed, SECRET)[0].passed


def test_a_stream_without_an_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LIMIT", 1 << 16)
    with pytest.raises(BakeryError, match="a gzip stream at byte 1048576 has more than"):
        search(tmp_path, gzip.compress(bytes(1 << 20)), SECRET)


def test_one_line_of_a_key_is_enough(tmp_path: Path) -> None:
    indented = textwrap.indent(PEM, "    ").encode()
    assert not search(tmp_path, indented, PEM)[0].passed


def test_the_frame_of_a_key_is_no_secret(tmp_path: Path) -> None:
    other = PEM.replace("kEy", "oTh")
    assert search(tmp_path, other.encode() + base64.b64encode(other.encode()) + other.encode().hex().encode(), PEM)[
        0
    ].passed


def test_nothing_is_found_in_other_data(tmp_path: Path) -> None:
    (check,) = search(tmp_path, b"p/ss w\xc3\xb6rd nothing here" * 100, SECRET)
    assert check == Check(secret_search.NAME, True)


def test_a_value_across_two_reads_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "BLOCK", 4096)
    for shift in (4090, 4095, 8192 - len(SECRET.encode())):
        (check,) = search(tmp_path, b"x" * shift + SECRET.encode() + b"x" * 5000, SECRET)
        assert "in plain text at byte" in check.detail


def test_each_secret_has_its_number(tmp_path: Path) -> None:
    (check,) = search(tmp_path, b"second-secret", "first-secret", "second-secret", "third-secret")
    assert "secret 2 of 3" in check.detail
    assert "secret 1" not in check.detail


def test_short_values_fail_since_they_cannot_be_searched(tmp_path: Path) -> None:
    found, short = search(tmp_path, b"nothing", "short", "long-enough")
    assert found.passed
    assert not short.passed
    assert "1 of 2" in short.detail
    assert "short " not in short.detail.replace("shorter", "")


@pytest.mark.parametrize("secrets", [(), ("",), ("\n",)])
def test_no_secrets_no_finding(tmp_path: Path, secrets: tuple[str, ...]) -> None:
    assert search(tmp_path, b"anything", *secrets) == [Check(secret_search.NAME, True)]


def test_the_file_that_holds_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Root:
        partition = disk_image.Partition("root", "x", 1 << 20, 1 << 20, 1)
        raw = tmp_path / "disk.raw"

        def owner(self, offset: int) -> str:
            return f"/etc/app.conf at {offset}"

    monkeypatch.setattr(secret_search, "open_root", lambda raw: Root())
    monkeypatch.setattr(secret_search, "ext_file_systems", lambda raw: [])
    (check,) = search(tmp_path, SECRET.encode(), SECRET)
    assert "/etc/app.conf at 1048" in check.detail
    (check,) = search(tmp_path, bytes(1 << 20) + SECRET.encode(), SECRET)
    assert check.detail.endswith("outside of the root file system")


def test_a_copy_of_the_root_is_searched_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Copy:
        partition = disk_image.Partition("root", "x", 0, 1 << 20, 1)
        raw = tmp_path / "root.ext4"

        def jumps(self) -> dict[int, int]:
            return {}

        def owner(self, offset: int) -> str:
            return "/etc/app.conf"

    Copy.raw.write_bytes(SECRET.encode())
    monkeypatch.setattr(secret_search, "open_root", lambda raw: Copy())
    monkeypatch.setattr(secret_search, "ext_file_systems", lambda raw: [])
    (check,) = search(tmp_path, b"compressed", SECRET)
    assert check.detail.startswith("secret 1 of 1 in plain text at byte ")
    assert check.detail.endswith(": /etc/app.conf")


def search_fragments(folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, pieces: list[int]) -> Check:
    """Search a disk on which a file's content lies in fragments, the last one first."""
    ends = [*pieces[1:], len(content)]
    disk, jumps = bytearray(1 << 20), {}
    places = [(1 << 20) - 8192 * (number + 1) for number in range(len(pieces))]
    for place, start, end in zip(places, pieces, ends, strict=True):
        disk[place : place + end - start] = content[start:end]
    for number, place in enumerate(places[1:]):
        jumps[places[number] + ends[number] - pieces[number]] = place

    class Root:
        partition = disk_image.Partition("root", "x", 0, 1 << 20, 1)
        raw = folder / "disk.raw"

        def owner(self, offset: int) -> str:
            return "/etc/app.conf"

        def jumps(self) -> dict[int, int]:
            return jumps

    Root.raw.write_bytes(disk)
    monkeypatch.setattr(secret_search, "open_root", lambda raw: Root())
    monkeypatch.setattr(secret_search, "ext_file_systems", lambda raw: [Root()])
    return secret_search.search(Root.raw, [SECRET])[0]


@pytest.mark.parametrize("form", ["plain text", "base64", "UTF-32LE", "JSON"])
def test_a_value_in_two_fragments_of_a_file_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    encoded = ALL[form](SECRET.encode())
    content = bytes(4096 - len(encoded) // 2) + encoded
    assert not search_fragments(tmp_path, monkeypatch, content, [0, 4096]).passed


def test_a_compressed_file_in_fragments_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = noise_of(14_000)
    content = gzip.compress(noise + prose(SECRET))
    check = search_fragments(tmp_path, monkeypatch, content, [0, 4096, 8192, 12288])
    assert "in gzip at byte" in check.detail
