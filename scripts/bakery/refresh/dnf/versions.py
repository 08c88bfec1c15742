"""Versions of rpm, in their order."""

import re

# Ranks of rpm-version(7): "~" comes before the end of a version, "^" after it, and both before any further part.
SEGMENT = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")
RANKS = {"~": -1, "^": 1}
END, LETTERS, NUMBER = 0, 2, 3

Segment = tuple[int, int, str]


def version_key(evr: str) -> tuple[int, tuple[Segment, ...], tuple[Segment, ...]]:
    """The key by which `[EPOCH:]VERSION-RELEASE` is sorted."""
    epoch, _, rest = evr.rpartition(":")
    version, _, release = rest.partition("-")
    return int(epoch or 0), _segment_key(version), _segment_key(release)


def _segment_key(text: str) -> tuple[Segment, ...]:
    return (*(_rank_segment(segment) for segment in SEGMENT.findall(text)), (END, 0, ""))


def _rank_segment(segment: str) -> Segment:
    if segment.isdecimal():
        return NUMBER, int(segment), ""
    return RANKS.get(segment, LETTERS), 0, segment
