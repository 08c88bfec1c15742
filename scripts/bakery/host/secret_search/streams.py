"""Finds compressed streams anywhere in bytes, by the marks at their start, and searches what they hold."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple, Protocol

from bakery.host.secret_search.matcher import Content, Hit, Mark, Matcher

LIMIT = 512 << 20  # bytes of one stream that are searched; a kernel with its modules has less
NESTED = 3  # streams within each other: a package holds an archive, which holds a compressed page
READ = 1 << 20  # bytes of a stream decompressed at once
TRIAL = 64 << 10  # the first bytes, enough to refuse what only looks like a stream
LEAST = 16  # bytes of output; by chance, a few may come from what is no stream
MEMORY = 256 << 20  # bytes for a dictionary; xz -9 needs 65 MiB

Reader = Callable[[int], Iterator[Content]]  # from an offset, the bytes of one file


class StreamHit(NamedTuple):
    """A hit in a stream: the offset of the outermost stream, and the names of the streams around the hit."""

    hit: Hit
    start: int
    streams: tuple[str, ...]


class TooLargeError(Exception):
    """A stream expands to more than is searched; `start` is its offset."""

    def __init__(self, start: int) -> None:
        super().__init__(start)
        self.start = start


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _open_zstd() -> _Decompressor:
    import zstandard

    opened: _Decompressor = zstandard.ZstdDecompressor(max_window_size=MEMORY).decompressobj()
    return opened


def _open_xz() -> _Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)


# RFC 1950 (the three levels that programs write, with a window of 32 KiB), RFC 1952, RFC 8878, the .xz file format, and
# bzip2's block header.
MARKS: dict[bytes, tuple[str, Callable[[], _Decompressor]]] = {
    b"\x1f\x8b\x08": ("gzip", lambda: zlib.decompressobj(31)),
    b"\x78\x01": ("zlib", zlib.decompressobj),
    b"\x78\x5e": ("zlib", zlib.decompressobj),
    b"\x78\x9c": ("zlib", zlib.decompressobj),
    b"\x78\xda": ("zlib", zlib.decompressobj),
    b"\x28\xb5\x2f\xfd": ("zstd", _open_zstd),
    b"\xfd7zXZ\x00": ("xz", _open_xz),
    **{b"BZh%d1AY&SY" % level: ("bzip2", bz2.BZ2Decompressor) for level in range(1, 10)},
    b"PK\x03\x04": ("zip", lambda: zlib.decompressobj(-15)),
}
ZIP_HEADER = 30  # bytes before a member's name: APPNOTE.TXT, 4.3.7


def search_streams(
    matcher: Matcher, content: Content, marks: list[Mark], read: Reader, known: set[tuple[int, tuple[str, ...]]]
) -> Iterator[StreamHit]:
    """Hits in the streams that start at `marks`; `read` gives the bytes of a file from an offset of `content` on.

    Raises TooLargeError.
    """
    end = 0
    for mark in marks:
        if mark.start < end:  # inside of the stream before
            continue
        name, _ = MARKS[mark.text]
        output, used = _decompress(content, mark, read)
        if len(output) < LEAST:
            continue
        if used:
            end = mark.start + used
        for hit, streams in _search_output(matcher, output, known, NESTED - 1):
            yield StreamHit(hit, mark.start, (name, *streams))


def _search_output(
    matcher: Matcher, output: bytearray, known: set[tuple[int, tuple[str, ...]]], depth: int
) -> Iterator[tuple[Hit, tuple[str, ...]]]:
    for hits, marks in matcher.scan(output, known):
        yield from ((hit, ()) for hit in hits)
        if depth:
            end = 0
            for mark in marks:
                if mark.start < end:
                    continue
                inner, used = _decompress(output, mark, lambda start: iter([memoryview(output)[start:]]))
                end = mark.start + used
                if len(inner) >= LEAST:
                    for hit, streams in _search_output(matcher, inner, known, depth - 1):
                        yield hit, (MARKS[mark.text][0], *streams)


def _decompress(content: Content, mark: Mark, read: Reader) -> tuple[bytearray, int]:
    """The output of a stream as far as it is whole, and its length; 0 if it has no proper end."""
    name, opener = MARKS[mark.text]
    start = mark.start + (_zip_header(content, mark.start) if name == "zip" else 0)
    stream, output, taken = opener(), bytearray(), 0
    with suppress(zlib.error, lzma.LZMAError, OSError, ValueError, EOFError, _zstd_error()):
        for piece in _split_pieces(read(start)):
            output += stream.decompress(piece)
            taken += len(piece)
            if len(output) > LIMIT:
                raise TooLargeError(mark.start)
            if stream.eof:
                return output, start - mark.start + taken - len(stream.unused_data)
    return output, 0


def _split_pieces(source: Iterator[Content]) -> Iterator[bytes]:
    size = TRIAL
    for part in source:
        view = memoryview(part)
        while len(view):
            yield bytes(view[:size])
            view, size = view[size:], READ


def _zip_header(content: Content, start: int) -> int:
    header = bytes(memoryview(content)[start + 26 : start + ZIP_HEADER])
    name, extra = header[:2], header[2:]
    return ZIP_HEADER + int.from_bytes(name, "little") + int.from_bytes(extra, "little")


def _zstd_error() -> type[Exception]:
    import zstandard

    return zstandard.ZstdError
