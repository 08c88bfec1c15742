"""Searches a whole disk, including deleted files and what is compressed, for secret values in all their forms."""

import mmap
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bakery.host.parallel import threads
from bakery.host.secret_search import MARKS, SHORTEST, Mark, Matcher, Reported, StreamSearch
from bakery.machine import disk_image
from bakery.machine.filesystem import FileSystem, ext_file_systems
from bakery.machine.original_modules import read_original_modules
from bakery.machine.root import NoRootError, open_root
from bakery.model.documents import Check

NAME = "no secret on the disk"
PART = 8 << 20  # bytes that one thread searches at once
SEAM = 4096  # bytes on each side of the place where a file goes on elsewhere; blocks have at least 1024


@dataclass(frozen=True)
class _Place:
    """A value on a disk: its number, its form, and the offset of its bytes or of the stream that holds it."""

    number: int
    form: str
    offset: int


def search(raw: Path, secrets: Iterable[str]) -> list[Check]:
    """One check for all values. A hit names the location and the form, never the value."""
    values = [value.strip() for value in secrets if value.strip()]
    numbers = [number for number, value in enumerate(values, 1) if len(value) >= SHORTEST]
    hits: list[str] = []
    if numbers:
        matcher = Matcher([values[number - 1] for number in numbers], tuple(MARKS))
        reported: Reported = set()
        streams = StreamSearch(matcher, reported)
        for disk, root, systems in _list_disks(raw):
            for module in read_original_modules(root) if root else ():
                streams.omit(module)
            hits += [
                f"secret {numbers[place.number - 1]} of {len(values)} in {place.form} at byte {place.offset}: "
                f"{_name_place(disk, root, place.offset)}"
                for place in _search_disk(disk, systems, matcher, streams, reported)
            ]
    checks = [Check(NAME, not hits, "; ".join(hits))]
    if len(numbers) < len(values):
        count = len(values) - len(numbers)
        detail = f"{count} of {len(values)} are shorter than {SHORTEST} characters and would match by chance"
        checks.append(Check("secrets are long enough to search for", False, detail))
    return checks


def _search_disk(
    disk: Path, systems: Iterable[FileSystem], matcher: Matcher, streams: StreamSearch, reported: Reported
) -> list[_Place]:
    """The first place of each value in each encoding; all processors work on it."""
    jumps = {end: start for system in systems for end, start in system.jumps().items()}
    extents = disk_image.data_extents(disk)
    parts = [(begin, min(begin + PART, end), start, end) for start, end in extents for begin in range(start, end, PART)]
    with (
        disk.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as content,
        threads(os.cpu_count() or 1) as submit,
    ):
        search_part = _DiskPart(content, jumps, matcher, streams, reported).search
        running = [submit(partial(search_part, *part)) for part in parts]
        places = [place for part in running for place in part.result()]
        places += _search_seams(content, jumps, matcher, reported)
    first: dict[tuple[int, str], _Place] = {}
    for place in sorted(places, key=lambda place: place.offset):
        first.setdefault((place.number, place.form), place)
    return list(first.values())


class _DiskPart:
    """Searches one part of a disk, and all streams that start there."""

    def __init__(
        self,
        content: memoryview,
        jumps: Mapping[int, int],
        matcher: Matcher,
        streams: StreamSearch,
        reported: Reported,
    ) -> None:
        self._content = content
        self._jumps = jumps
        self._ends = sorted(jumps)
        self._matcher = matcher
        self._streams = streams
        self._reported = reported

    def search(self, begin: int, end: int, low: int, high: int) -> list[_Place]:
        """The places between `begin` and `end`, of data from `low` to `high`."""
        start = max(low, begin - self._matcher.reach)
        places: list[_Place] = []
        with self._content[start : min(high, end + self._matcher.reach)] as part:
            for hits, marks in self._matcher.scan(part, self._reported):
                places += (_Place(hit.number, hit.form, start + hit.start) for hit in hits)
                starts = (Mark(text, start + at) for text, at in marks if begin <= start + at < end)
                for inner in self._streams.search(self._content, starts, self._read_file):
                    form = f"{inner.hit.form} in {' in '.join(reversed(inner.kinds))}"
                    places.append(_Place(inner.hit.number, form, inner.start))
        return places

    def _read_file(self, offset: int) -> Iterator[memoryview]:
        """The bytes of a file from an offset on, fragment by fragment."""
        left = len(self._content)
        while left > 0:
            number = bisect_left(self._ends, offset + 1)
            end = self._ends[number] if number < len(self._ends) else len(self._content)
            yield self._content[offset:end]
            left -= end - offset
            if number == len(self._ends):
                return
            offset = self._jumps[end]


def _search_seams(
    content: memoryview, jumps: Mapping[int, int], matcher: Matcher, reported: Reported
) -> Iterator[_Place]:
    """Values that stand in two fragments of a file."""
    for end, start in jumps.items():
        seam = bytes(content[max(0, end - SEAM) : end]) + bytes(content[start : start + SEAM])
        yield from (_Place(hit.number, hit.form, end - 1) for hit in matcher.find(seam, reported))


def _list_disks(raw: Path) -> Iterator[tuple[Path, FileSystem | None, list[FileSystem]]]:
    """The copy of the root if the disk has one, since btrfs may compress what it stores, and the disk.

    Each with its root and all its file systems whose fragments can be listed. The copy comes first: it names files.
    """
    try:
        root = open_root(raw)
    except NoRootError:  # a rule of its own reports that there is none
        yield raw, None, []
        return
    if root.raw != raw:
        yield root.raw, root, [root]
        yield raw, None, ext_file_systems(raw)
    else:
        yield raw, root, ext_file_systems(raw)


def _name_place(disk: Path, root: FileSystem | None, offset: int) -> str:
    if root is None:
        return f"in {disk.name}"
    if root.partition.start <= offset < root.partition.start + root.partition.size:
        return root.owner(offset)
    return "outside of the root file system"
