"""Finds pieces of secret values in one pass, and confirms each by decoding the bytes around it."""

import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from bakery.host.secret_search.decoding import find_form
from bakery.host.secret_search.pieces import ANY_CASE, Piece, list_pieces

if TYPE_CHECKING:  # most verbs search nothing
    import hyperscan

LINE = 20  # characters; shorter lines of a value match by chance
LONGEST = 256  # characters of a value that are compared, from its middle: more is not needed to be sure
# Bytes of a form per byte of a value, at most: a letter in UTF-32 as hex with long separators. The margin is for
# what an encoding of groups cuts off at both ends.
GROWTH, MARGIN = 24, 64
FRAME = ("-----", "b3BlbnNzaC1rZXktdjEA")  # the second is "openssh-key-v1" in base64: PROTOCOL.key of OpenSSH
BLOCK = 64 << 20  # bytes searched at once; larger gains nothing

Content = bytes | bytearray | memoryview
Reported = set[tuple[int, tuple[str, ...]]]  # (number, path) of hits


class Hit(NamedTuple):
    """A value (its number in the order given, from 1), its form, and the start of the piece that showed it.

    `path` has the encodings of that piece.
    """

    number: int
    form: str
    start: int
    path: tuple[str, ...]


class Mark(NamedTuple):
    """A place of one of the caller's literals."""

    text: bytes
    start: int


class _Candidate(NamedTuple):
    number: int
    value: str
    piece: Piece


class Matcher:
    """Searches bytes for values in all forms, and for `marks`, literals of the caller. Threads may share it."""

    def __init__(self, values: Sequence[str], marks: Sequence[bytes] = ()) -> None:
        self._candidates = [
            _Candidate(number, part, piece)
            for number, value in enumerate(values, 1)
            for part in list_parts(value)
            for piece in list_pieces(part)
        ]
        self._marks = tuple(marks)
        self._local = threading.local()
        self._lengths = [len(entry.piece.text) for entry in self._candidates] + [len(mark) for mark in self._marks]
        self._overlap = max(self._lengths, default=1) - 1
        self.reach = max((_reach(entry.value) for entry in self._candidates), default=0)
        # Digits of hex have any case, also those in a URL.
        patterns = tuple(
            (entry.piece.text, not entry.piece.path or entry.piece.path[0] in ANY_CASE) for entry in self._candidates
        )
        self._database = _compile((*patterns, *((mark, False) for mark in self._marks))) if self._candidates else None

    def find(self, content: Content, reported: Reported | None = None) -> list[Hit]:
        """All hits in a content. With `reported`, (number, path) of earlier hits, the first of each, which is added."""
        return [hit for hits, _ in self.scan(content, reported) for hit in hits]

    def scan(self, content: Content, reported: Reported | None = None) -> Iterator[tuple[list[Hit], list[Mark]]]:
        """The hits and the marks of each block of a content, in the order of their offsets."""
        if self._database is None:
            return
        view = memoryview(content)
        for begin in range(0, len(view), BLOCK):
            first = max(0, begin - self._overlap)
            matches: list[tuple[int, int]] = []
            block: Any = view[first : begin + BLOCK]  # the types of hyperscan know no memoryview, which needs no copy
            self._database.scan(block, match_event_handler=_Collector(matches, begin - first), scratch=self._scratch())
            hits: list[Hit] = []
            marks: list[Mark] = []
            for number, end in matches:
                start = first + end - self._lengths[number]
                if number >= len(self._candidates):
                    marks.append(Mark(self._marks[number - len(self._candidates)], start))
                elif hit := self._confirm(view, self._candidates[number], start, reported):
                    hits.append(hit)
            yield hits, marks

    def span(self, content: bytes, hit: Hit) -> tuple[int, int]:
        """(start, end) of the shortest bytes of a content that still hold the value of a hit."""
        parts = [
            entry.value for entry in self._candidates if entry.number == hit.number and entry.piece.path == hit.path
        ]
        reach = max(map(_reach, parts))
        start, end = max(0, hit.start - reach), min(len(content), hit.start + reach)
        value = next(part for part in dict.fromkeys(parts) if find_form(part, content[start:end], hit.path))
        # From each end, the bytes that are not needed: more context finds no less.
        low, high = start, hit.start
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if find_form(value, content[middle:end], hit.path) else (low, middle - 1)
        start, low, high = low, hit.start, end
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if find_form(value, content[start:middle], hit.path) else (middle + 1, high)
        return start, high

    def _scratch(self) -> "hyperscan.Scratch":
        """Hyperscan's memory for one scan; each thread has its own."""
        import hyperscan

        if not hasattr(self._local, "scratch"):
            self._local.scratch = hyperscan.Scratch(self._database)
        scratch: hyperscan.Scratch = self._local.scratch
        return scratch

    def _confirm(self, view: memoryview, entry: _Candidate, start: int, reported: Reported | None) -> Hit | None:
        key = (entry.number, entry.piece.path)
        if reported is not None and key in reported:
            return None
        reach = _reach(entry.value)
        text = bytes(view[max(0, start - reach) : start + reach])
        form = find_form(entry.value, text, entry.piece.path)
        if form is None:
            return None
        if reported is not None:
            reported.add(key)
        return Hit(entry.number, form, start, entry.piece.path)


class _Collector:
    """Hyperscan's callback: keeps (number of the pattern, end) of each match that ends after `seen` bytes."""

    def __init__(self, matches: list[tuple[int, int]], seen: int) -> None:
        self._matches = matches
        self._seen = seen

    def __call__(self, number: int, start: int, end: int, flags: int, context: object) -> None:
        if end > self._seen:
            self._matches.append((number, end))


def list_parts(value: str) -> list[str]:
    """The texts that give a value away: each long line of a value of several lines, else the value."""
    # A line such as "-----BEGIN PRIVATE KEY-----" is no secret, nor is the first line of all keys of OpenSSH.
    lines = [line.strip() for line in value.strip().splitlines()]
    long = [line for line in lines if len(line) >= LINE and not line.startswith(FRAME)]
    parts = long if len(lines) > 1 and long else [value.strip()]
    return list(dict.fromkeys(map(_middle, parts)))


def _middle(text: str) -> str:
    start = max(0, (len(text) - LONGEST) // 2)
    return text[start : start + LONGEST]


def _reach(value: str) -> int:
    return GROWTH * len(value.encode()) + MARGIN


@lru_cache(maxsize=8)
def _compile(patterns: tuple[tuple[bytes, bool], ...]) -> "hyperscan.Database":
    import hyperscan

    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[_quote(text) for text, _ in patterns],
        ids=list(range(len(patterns))),
        elements=len(patterns),
        flags=[hyperscan.HS_FLAG_CASELESS if any_case else 0 for _, any_case in patterns],
    )
    return database


def _quote(text: bytes) -> bytes:
    """A literal as a pattern: Hyperscan reads patterns up to the first zero byte."""
    return b"".join(b"\\x%02x" % byte for byte in text)
