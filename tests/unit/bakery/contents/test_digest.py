"""What of an entry counts for the content digest, and what a list of entries may say."""

import stat
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.contents import digest
from bakery.contents.digest import EXCLUDED, EXCLUDED_PATHS, describe_entries
from bakery.contents.tree import Entry
from bakery.machine.ext import EXTENTS, Attribute
from unit.bakery.contents.entries import entry, link

CAPABILITY = Attribute(6, b"capability", b"\x01\x00\x00\x02")
NAMES = st.binary(min_size=1, max_size=6).filter(lambda name: b"/" not in name and b"\0" not in name)
ATTRIBUTES = st.builds(
    Attribute, st.integers(1, 8), st.binary(max_size=5).filter(lambda name: b"\0" not in name), st.binary(max_size=9)
).filter(lambda attribute: (attribute.namespace, attribute.name) != (7, b"data"))
KINDS = st.sampled_from([stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])


@st.composite
def any_entry(draw: st.DrawFn) -> Entry:
    path = b"".join(b"/" + name for name in draw(st.lists(NAMES, min_size=1, max_size=3)))
    plain = entry("/x", mode=draw(KINDS) | draw(st.integers(0, 0o7777)))
    node = replace(
        plain.node,
        uid=draw(st.integers(0, 2**32 - 1)),
        gid=draw(st.integers(0, 2**32 - 1)),
        flags=draw(st.sampled_from([0, 0x10, 0x20])),
        attributes=tuple(draw(st.lists(ATTRIBUTES, max_size=3, unique_by=lambda item: (item.namespace, item.name)))),
    )
    return Entry(path, node, draw(st.binary(max_size=8).filter(lambda content: b"\0" not in content)))


def meaning(item: Entry) -> Any:
    """All of an entry that a program on the system can see, times apart."""
    node = item.node
    return item.path, node.mode, node.uid, node.gid, node.flags, frozenset(node.attributes), item.content


def describe(*entries: Entry) -> list[tuple[bytes, bytes]]:
    return [(path, line) for path, line, _ in describe_entries(entries)]


@given(any_entry(), any_entry())
def test_two_entries_have_one_description_only_if_they_are_equal(first: Entry, second: Entry) -> None:
    assert (describe(first) == describe(second)) == (meaning(first) == meaning(second))


@given(any_entry(), st.data())
def test_each_change_of_a_field_changes_the_description(item: Entry, data: st.DataObject) -> None:
    other = data.draw(any_entry().filter(lambda other: meaning(other) != meaning(item)))
    node, there = item.node, other.node
    changed = [
        replace(item, path=other.path),
        replace(item, content=other.content),
        *(
            replace(item, node=replace(node, **{name: getattr(there, name)}))
            for name in ("mode", "uid", "gid", "flags", "attributes")
        ),
    ]
    for change in changed:
        assert (describe(change) == describe(item)) == (meaning(change) == meaning(item))


@given(any_entry(), st.integers(1, 2**31), st.randoms())
def test_what_only_the_kernel_sees_does_not_count(item: Entry, number: int, random: Any) -> None:
    attributes = list(item.node.attributes)
    random.shuffle(attributes)
    node = replace(item.node, number=number, flags=item.node.flags | EXTENTS, blocks=b"x", attributes=tuple(attributes))
    assert describe(replace(item, node=node)) == describe(item)


def test_one_file_with_two_names_is_not_two_files() -> None:
    together = [entry("/a", b"text", number=5), entry("/b", b"text", number=5)]
    apart = [entry("/a", b"text", number=5), entry("/b", b"text", number=6)]
    assert describe(*together) != describe(*apart)
    assert describe(*together) == describe(*reversed(together)), "in whatever order folders have them"


def test_a_list_says_nothing_of_the_bytes_of_private_files() -> None:
    def listed(content: bytes, mode: int) -> bytes:
        [(_, _, line)] = describe_entries([entry("/etc/key", content, stat.S_IFREG | mode)])
        return line

    assert listed(b"secret", 0o600) == listed(b"other", 0o600)
    assert listed(b"secret", 0o644) != listed(b"other", 0o644)
    assert listed(b"secret", 0o600) != listed(b"secret", 0o640)


def test_a_capability_counts() -> None:
    assert describe(entry("/bin/ping")) != describe(entry("/bin/ping", attributes=(CAPABILITY,)))
    assert describe(link("/a", "b")) != describe(link("/a", "c"))


def test_each_exclusion_has_a_reason_and_ends_before_its_neighbours() -> None:
    assert all(exclusion.reason.strip() for exclusion in EXCLUDED)
    assert len({exclusion.pattern for exclusion in EXCLUDED}) == len(EXCLUDED)
    for path in (b"", b"/etc/passwd", b"/var/log", b"/var/lib/dpkg/status", b"/usr/bin/ldconfig", b"/srv/a.pyc"):
        assert not EXCLUDED_PATHS.fullmatch(path), path


@pytest.mark.parametrize("pattern", [exclusion.pattern for exclusion in EXCLUDED])
def test_an_exclusion_matches_its_own_path(pattern: str) -> None:
    assert EXCLUDED_PATHS.fullmatch(pattern.replace("*", "x").encode())


def test_a_path_that_is_no_text_has_a_name() -> None:
    assert digest.as_text(b"/\xff\n") == "/\\xff\n"
