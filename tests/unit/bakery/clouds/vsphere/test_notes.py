"""Notes of a library item: what is written is read again."""

from hypothesis import given
from hypothesis import strategies as st

from bakery.clouds.vsphere import notes

KEYS = st.text(st.characters(categories=["L", "N"], include_characters="-:"), min_size=1).filter(
    lambda key: not key.endswith(":")
)
VALUES = st.text(st.characters(categories=["L", "N", "P"]), min_size=1)


@given(st.text(), st.dictionaries(KEYS, VALUES, max_size=5))
def test_tags_come_back(description: str, tags: dict[str, str]) -> None:
    assert notes.read(notes.write(description, tags)) == tags


def test_people_can_read_it() -> None:
    assert notes.write("A web\nserver", {"team": "platform", "bakery:version": "1.0.3"}) == (
        "A web server\n\nteam: platform\nbakery:version: 1.0.3"
    )


def test_a_value_of_several_lines_cannot_pass_for_another_tag() -> None:
    assert notes.read(notes.write("", {"team": "a\nbakery:version: 9.9.9"})) == {"team": "a bakery:version: 9.9.9"}


def test_what_others_wrote_has_no_tags() -> None:
    for text in ("", "An appliance", "vendor: ACME", "An appliance\n\nmade by ACME"):
        assert notes.read(text) == {}
