"""One set of tags, whatever made the image."""

from bakery.clouds.definitions import Definition
from bakery.model import tags
from bakery.model.documents import Publication, RemoteBuild

DEFINITION = Definition.model_validate(
    {
        "name": "web",
        "description": "A server",
        "os": "debian-12",
        "arch": "x86_64",
        "version": "1.0",
        "base": {"aws": {"ami": {"name": "debian-*", "owner": "self"}}},
        "targets": ("aws",),
        "distribution": {"aws": {"regions": ("eu-central-1",)}},
        "tags": {"team": "shop", "bakery:version": "mine"},
    }
)
BUILD = RemoteBuild(
    image="web",
    arch="x86_64",
    version="1.0.3",
    os="debian-12",
    target="aws",
    builder="amazon-ebs",
    input_key="k" * 64,
    inputs={},
    base="",
    identity="b" * 64,
    ids={"eu-central-1": "ami-1"},
    checks=(),
    commit="c0ffee",
    tools={},
    seconds={},
    created="2026-01-01T00:00:00+00:00",
    log="",
)


def test_a_build_has_its_identity_where_a_disk_has_its_digest() -> None:
    assert tags.of_build(DEFINITION, BUILD) == {
        "team": "shop",
        "Name": "web-1.0.3-x86_64",
        "bakery:image": "web",
        "bakery:version": "1.0.3",
        "bakery:arch": "x86_64",
        "bakery:os": "debian-12",
        "bakery:input-key": "k" * 64,
        "bakery:commit": "c0ffee",
        "bakery:sha256": "b" * 64,
    }


def test_what_packer_is_told_is_part_of_the_whole_set() -> None:
    assert tags.identity(BUILD).items() <= tags.of_build(DEFINITION, BUILD).items()


def test_a_publication_asks_for_what_no_definition_can_change() -> None:
    publication = Publication("web", "x86_64", "1.0.3", "b" * 64, "aws", ())
    assert tags.wrong(tags.of_build(DEFINITION, BUILD), tags.of_publication(publication)) == {}
    assert tags.wrong({"Name": "other"}, {"Name": "web", "team": "shop"}) == {"Name": "web", "team": "shop"}
