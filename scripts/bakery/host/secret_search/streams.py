"""Finds compressed streams anywhere in bytes, by the marks at their start, and searches what they hold."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from bakery.host.errors import BakeryError
from bakery.host.secret_search.matcher import Content, Hit, Mark, Matcher, Reported

NESTED = 3  # streams within each other: a package holds an archive, which holds a compressed page
FIRST, GROWTH, LARGEST = 512, 8, 1 << 20  # bytes of a stream decompressed at once: most marks are none, and fail early
WINDOW = 64 << 20  # bytes of output searched at once
OVERLAP = 1 << 20  # bytes of output searched twice: streams within it, such as a kernel's modules, are seldom larger
LIMIT = 16 << 30  # bytes of output of one stream; only a stream that is made to stop a reader has more
LEAST = 16  # bytes of output; by chance, a few may come from what is no stream
MEMORY = 256 << 20  # bytes for a dictionary; xz -9 needs 65 MiB

Reader = Callable[[int], Iterable[Content]]  # from an offset, the bytes of one file


class StreamHit(NamedTuple):
    """A hit in a stream: the offset of the outermost stream, and the kinds of the streams around the hit."""

    hit: Hit
    start: int
    kinds: tuple[str, ...]


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _open_zstd() -> _Decompressor:
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=MEMORY).decompressobj()


def _open_xz() -> _Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)


def _open_gzip() -> _Decompressor:
    return zlib.decompressobj(16 + zlib.MAX_WBITS)


def _open_deflate() -> _Decompressor:
    return zlib.decompressobj(-zlib.MAX_WBITS)


# RFC 1950 (the levels that programs write, with a window of 32 KiB), RFC 1952, RFC 8878, the .xz file format, bzip2's
# header with that of its first block, and PKWARE's APPNOTE.TXT.
MARKS: dict[bytes, tuple[str, Callable[[], _Decompressor]]] = {
    b"\x1f\x8b\x08": ("gzip", _open_gzip),
    **{b"\x78" + level: ("zlib", zlib.decompressobj) for level in (b"\x01", b"\x5e", b"\x9c", b"\xda")},
    b"\x28\xb5\x2f\xfd": ("zstd", _open_zstd),
    b"\xfd7zXZ\x00": ("xz", _open_xz),
    **{b"BZh%d1AY&SY" % level: ("bzip2", bz2.BZ2Decompressor) for level in range(1, 10)},
    b"PK\x03\x04": ("zip", _open_deflate),
}
ZIP_HEADER = 30  # bytes before a member's name, whose last four are the lengths of the name and of what follows it


def search_streams(
    matcher: Matcher, content: Content, marks: Iterable[Mark], read: Reader, reported: Reported, nested: int = NESTED
) -> Iterator[StreamHit]:
    """Hits in the streams that start at `marks`, for the first time each; `read` gives the bytes of a file.

    Raises BakeryError if a stream has more than LIMIT bytes.
    """
    end = 0
    for mark in marks:
        if mark.start < end:  # inside of the stream before
            continue
        stream = _Stream(content, mark, read)
        for window in stream.windows(max(OVERLAP, matcher.reach)):
            for hits, inner in matcher.scan(window, reported):
                yield from (StreamHit(hit, mark.start, (stream.kind,)) for hit in hits)
                if nested > 1:
                    for inner_hit in search_streams(matcher, window, inner, _reader_of(window), reported, nested - 1):
                        yield StreamHit(inner_hit.hit, mark.start, (stream.kind, *inner_hit.kinds))
        end = mark.start + stream.length


class _Stream:
    """One stream; `length` is that of its compressed bytes after its end was read, before it and without an end 0."""

    def __init__(self, content: Content, mark: Mark, read: Reader) -> None:
        self.kind, self._open = MARKS[mark.text]
        self.length = 0
        self._mark = mark
        self._header = _zip_header(content, mark.start) if self.kind == "zip" else 0
        self._read = read

    def windows(self, overlap: int) -> Iterator[bytes]:
        """The output as far as it is whole; each window repeats `overlap` bytes of the one before."""
        window, total = bytearray(), 0
        for output in self._outputs():
            window += output
            total += len(output)
            if total > LIMIT:
                raise BakeryError(f"a {self.kind} stream at byte {self._mark.start} has more than {LIMIT >> 30} GiB")
            if len(window) > WINDOW:
                yield bytes(window)
                del window[:-overlap]
        if total >= LEAST:
            yield bytes(window)

    def _outputs(self) -> Iterator[bytes]:
        length, decompressor = self._header, self._open()
        try:
            for piece in _split_pieces(self._read(self._mark.start + self._header)):
                yield decompressor.decompress(piece)
                length += len(piece)
                if decompressor.eof:
                    self.length = length - len(decompressor.unused_data)
                    return
        except _errors():
            return


def _reader_of(window: bytes) -> Reader:
    return lambda start: (memoryview(window)[start:],)


def _split_pieces(source: Iterable[Content]) -> Iterator[bytes]:
    size = FIRST
    for part in source:
        view = memoryview(part)
        while len(view):
            yield bytes(view[:size])
            view, size = view[size:], min(size * GROWTH, LARGEST)


def _zip_header(content: Content, start: int) -> int:
    header = bytes(memoryview(content)[start + ZIP_HEADER - 4 : start + ZIP_HEADER])
    return ZIP_HEADER + int.from_bytes(header[:2], "little") + int.from_bytes(header[2:], "little")


def _errors() -> tuple[type[Exception], ...]:
    """The errors of all decompressors for bytes that are no stream."""
    import zstandard

    return (zlib.error, lzma.LZMAError, OSError, EOFError, MemoryError, zstandard.ZstdError)
