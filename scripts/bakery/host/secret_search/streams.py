"""Finds compressed streams anywhere in bytes, by the marks at their start, and searches what they hold."""

import bz2
import hashlib
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from bakery.host.errors import BakeryError
from bakery.host.secret_search.matcher import Content, Hit, Mark, Matcher, Reported

NESTED = 3  # streams within each other: a package holds an archive, which holds a compressed page
EVERY = 1 << 30  # levels of a search that left none out
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


class _EarlierStream(NamedTuple):
    """A stream that was searched: the number of its compressed bytes, their digest, and the levels searched in it."""

    size: int
    digest: bytes
    levels: int


class StreamSearch:
    """Searches streams for the values of a matcher; streams of the same bytes once. Threads may share it.

    Decompression takes most of a search, and a disk has many streams twice: those of its kernel are in the initial RAM
    disk as well, and a copy of that is on the EFI system partition.
    """

    def __init__(self, matcher: Matcher, reported: Reported) -> None:
        self._matcher = matcher
        self._reported = reported
        self._streams: dict[tuple[str, bytes], list[_EarlierStream]] = {}  # by kind and first bytes

    def omit(self, content: bytes) -> None:
        """Take a stream as searched, wherever its bytes stand."""
        kind = next((kind for mark, (kind, _) in MARKS.items() if content.startswith(mark)), "")
        earlier = _EarlierStream(len(content), hashlib.blake2b(content).digest(), EVERY)
        self._streams.setdefault((kind, content[:FIRST]), []).append(earlier)

    def search(self, content: Content, marks: Iterable[Mark], read: Reader) -> list[StreamHit]:
        """Hits in the streams that start at `marks`, for the first time each; `read` gives the bytes of a file.

        Raises BakeryError if a stream has more than LIMIT bytes.
        """
        return self._search_marks(content, marks, read, NESTED)[0]

    def _search_marks(
        self, content: Content, marks: Iterable[Mark], read: Reader, levels: int
    ) -> tuple[list[StreamHit], int]:
        """Hits, and the levels that were searched: EVERY if `levels` sufficed."""
        hits: list[StreamHit] = []
        depth, end = EVERY, 0
        for mark in marks:
            if levels == 0:
                return [], 0
            if mark.start < end:  # inside of the stream before
                continue
            stream = _Stream(content, mark, read)
            inner_hits, inner_depth = self._search_stream(stream, levels)
            hits += inner_hits
            depth = min(depth, inner_depth)
            end = stream.end
        return hits, depth

    def _search_stream(self, stream: "_Stream", levels: int) -> tuple[list[StreamHit], int]:
        for earlier in self._streams.get(stream.head, ()):
            if earlier.levels >= levels and stream.skip(earlier):
                return [], earlier.levels
        hits: list[StreamHit] = []
        depth = EVERY
        for window in stream.windows(max(OVERLAP, self._matcher.reach)):
            for outer_hits, marks in self._matcher.scan(window, self._reported):
                hits += (StreamHit(hit, stream.start, (stream.kind,)) for hit in outer_hits)
                inner_hits, inner_depth = self._search_marks(window, marks, _reader_of(window), levels - 1)
                hits += (StreamHit(hit, stream.start, (stream.kind, *kinds)) for hit, _, kinds in inner_hits)
                depth = min(depth, inner_depth + 1)
        if stream.size > FIRST:
            self._streams.setdefault(stream.head, []).append(_EarlierStream(stream.size, stream.digest, depth))
        return hits, depth


class _Stream:
    """One stream. `size` and `digest` are those of its compressed bytes once its end was read, before 0 and empty."""

    def __init__(self, content: Content, mark: Mark, read: Reader) -> None:
        self.kind, self._open = MARKS[mark.text]
        self.start = mark.start
        self.size = 0
        self.digest = b""
        self._data = mark.start + (_zip_header(content, mark.start) if self.kind == "zip" else 0)
        self._read = read
        self.head = self.kind, bytes(memoryview(content)[self._data : self._data + FIRST])

    @property
    def end(self) -> int:
        """The offset behind it; without an end, that of its start."""
        return self._data + self.size if self.size else self.start

    def skip(self, earlier: _EarlierStream) -> bool:
        """Take the end of an earlier stream if the same bytes are here."""
        left, digest = earlier.size, hashlib.blake2b()
        for part in self._read(self._data):
            digest.update(memoryview(part)[:left])
            left -= min(left, len(part))
            if not left:
                break
        if left or digest.digest() != earlier.digest:
            return False
        self.size, self.digest = earlier.size, earlier.digest
        return True

    def windows(self, overlap: int) -> Iterator[bytes]:
        """The output as far as it is whole; each window repeats `overlap` bytes of the one before."""
        outputs: list[bytes] = []
        length = total = 0
        for output in self._outputs():
            outputs.append(output)
            length += len(output)
            total += len(output)
            if total > LIMIT:
                raise BakeryError(f"a {self.kind} stream at byte {self.start} has more than {LIMIT >> 30} GiB")
            if length > WINDOW:
                window = b"".join(outputs)
                yield window
                outputs, length = [window[-overlap:]], overlap
        if total >= LEAST:
            yield b"".join(outputs)

    def _outputs(self) -> Iterator[bytes]:
        size, digest, decompressor = 0, hashlib.blake2b(), self._open()
        try:
            for piece in _split_pieces(self._read(self._data)):
                yield decompressor.decompress(piece)
                compressed = piece[: len(piece) - len(decompressor.unused_data)]
                digest.update(compressed)
                size += len(compressed)
                if decompressor.eof:
                    self.size, self.digest = size, digest.digest()
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
