"""Versions by their identities and by their lineage: with an index, without one, and with a wrong one."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from bakery.catalog import Catalog, Record, Store
from bakery.catalog.index import BASES, IDENTITIES, digest_of
from bakery.catalog.search import find_descendants, find_identity, list_versions
from bakery.model.documents import ImageLocation, Pointer, Publication
from bakery.signing import Keyring

Loss = Callable[[str], bool]


@dataclass
class ObservedStore:
    """A store that notes each request, and in which some entries were lost."""

    inner: Store
    requests: list[str] = field(default_factory=list)
    is_lost: Loss = lambda _: False

    def __post_init__(self) -> None:
        self.location = self.inner.location

    def list(self, prefix: str) -> list[str]:
        self.requests.append(f"list {prefix}")
        names = self.inner.list(prefix)
        return [name for name in names if not self.is_lost(f"{prefix}/{name}")]

    def read(self, key: str) -> bytes:
        self.requests.append(f"read {key}")
        return self.inner.read(key)

    def create(self, key: str, data: bytes) -> bool:
        self.requests.append(f"create {key}")
        return self.inner.create(key, data)


@pytest.fixture
def observed(store: Store) -> ObservedStore:
    return ObservedStore(store)


def publish(catalog: Catalog, image: str, number: int, base: str = "debian") -> Record:
    """A complete version with two AMIs and a parameter."""
    record = catalog.reserve(image, "x86_64", "1.0", f"key {number}", {"base": base}, "builder", "bake-private")
    assert record.version == f"1.0.{number}"
    name = f"{image}-{number}"
    locations = tuple(
        ImageLocation("123456789012", region, f"ami-{region}-{name}", f"snap-{region}-{name}") for region in ("a", "b")
    )
    pointer = Pointer("123456789012", "a", f"/bakery/{image}/x86_64/{record.version}", 1, f"ami-a-{name}")
    publication = Publication(image, "x86_64", record.version, f"file {name}", "aws", locations, (pointer,))
    complete = replace(
        record, state="complete", sha256=f"file {name}", raw_sha256=f"content {name}", publications=(publication,)
    )
    return catalog.revise(complete, "published")


@dataclass(frozen=True)
class Line:
    """A catalog with `base`, four versions of `web` on it, `app` on one of these, and a channel."""

    base: Record
    webs: list[Record]
    app: Record

    @property
    def answers(self) -> dict[str, Record | None]:
        """The version that each identity has; the channel points at 1.0.1."""
        by_name = {name: record for record in (self.base, *self.webs, self.app) for name in record.identities}
        # Versions of several images have equal input keys here.
        own = {name: record for name, record in by_name.items() if not name.startswith("key")}
        return {**own, "/bakery/web/x86_64/channels/stable": self.webs[1], "ami-unknown": None, "web-typo": None}


@pytest.fixture
def line(observed: ObservedStore, keyring: Keyring) -> Line:
    catalog = Catalog(observed, keyring)
    base = publish(catalog, "base", 0)
    webs = [publish(catalog, "web", number, base.raw_sha256) for number in range(3)]
    webs.append(publish(catalog, "web", 3, "another"))
    app = publish(catalog, "app", 0, webs[1].raw_sha256)
    catalog.settle_state(catalog.change_state(publish(catalog, "api", 0, base.raw_sha256), "revoked", "leaks"))
    catalog.reserve("api", "x86_64", "1.0", "open", {"base": base.raw_sha256}, "builder", "bake-private")
    head = None
    for record in (webs[0], webs[1]):
        pointer = Pointer("123456789012", "a", "/bakery/web/x86_64/channels/stable", 1, record.sha256)
        head = catalog.move(record, "stable", "", head, (pointer,))
    observed.requests.clear()
    return Line(base, webs, app)


LOSSES: dict[str, Loss] = {
    "nothing": lambda _: False,
    "all": lambda key: key.startswith("index/"),
    "identities": lambda key: key.startswith(IDENTITIES),
    "bases": lambda key: key.startswith(BASES),
    "a version": lambda key: key.startswith("index/") and "web@x86_64@1.0.1" in key,
    "a child": lambda key: key.startswith(BASES) and "app@" in key,
    "a channel": lambda key: key.startswith("index/") and key.endswith("@stable"),
    "all of an image but one": lambda key: key.startswith("index/") and "web" in key and "1.0.2" not in key,
}


@pytest.mark.parametrize("loss", LOSSES)
def test_answers_are_equal_whatever_was_lost(observed: ObservedStore, keyring: Keyring, line: Line, loss: str) -> None:
    observed.is_lost = LOSSES[loss]
    catalog = Catalog(observed, keyring)
    assert {identity: find_identity(catalog, identity) for identity in line.answers} == line.answers
    assert find_descendants(catalog, line.base) == [*line.webs[:3], line.app]
    assert find_descendants(catalog, line.webs[1]) == [line.app]
    assert find_descendants(catalog, line.webs[3]) == []


def test_a_child_of_equal_content_is_a_child(observed: ObservedStore, keyring: Keyring) -> None:
    """It names the content, whichever version of its parent with that content it was built on."""
    catalog = Catalog(observed, keyring)
    parents = [
        catalog.revise(replace(publish(catalog, "base", number), content_digest="files"), "read") for number in range(2)
    ]
    children = [publish(catalog, "web", number, base) for number, base in enumerate(("files", parents[0].raw_sha256))]
    assert find_descendants(catalog, parents[0]) == children
    assert find_descendants(catalog, parents[1]) == children[:1]


def test_a_version_behind_an_unused_one_is_found(observed: ObservedStore, keyring: Keyring, line: Line) -> None:
    """A revocation that was killed has revoked the version between."""
    catalog = Catalog(observed, keyring)
    app = publish(catalog, "app", 1, line.webs[2].raw_sha256)
    catalog.settle_state(catalog.change_state(line.webs[2], "revoked", "leaks"))
    assert find_descendants(catalog, line.base) == [*line.webs[:2], line.app, app]


def test_an_answer_takes_few_requests_however_many_versions_there_are(
    observed: ObservedStore, keyring: Keyring, line: Line
) -> None:
    catalog = Catalog(observed, keyring)
    assert find_identity(catalog, "ami-b-web-2") == line.webs[2]
    assert observed.requests == [
        f"list {IDENTITIES}/{digest_of('ami-b-web-2')}",
        "list images/web/x86_64/versions/1.0.2",
        "read images/web/x86_64/versions/1.0.2/000001.json",
    ]
    observed.requests.clear()
    assert find_identity(catalog, "/bakery/web/x86_64/channels/stable") == line.webs[1]
    assert len(observed.requests) == 5  # a channel has an entry to read, and a version
    observed.requests.clear()
    assert find_descendants(catalog, line.webs[1]) == [line.app]
    # The index, the images, the versions of each, and two for each version that has no entry, or is a child.
    assert len(observed.requests) == 1 + 1 + 4 + 2 * 2


def test_a_listing_reads_each_channel_and_each_version_once(
    observed: ObservedStore, keyring: Keyring, line: Line
) -> None:
    listed = list_versions(Catalog(observed, keyring), [("web", "x86_64"), ("app", "x86_64")])
    assert [(one.image, one.version, one.channels) for one in listed] == [
        ("web", "1.0.0", ()),
        ("web", "1.0.1", ("stable",)),
        ("web", "1.0.2", ()),
        ("web", "1.0.3", ()),
        ("app", "1.0.0", ()),
    ]
    # Versions and channels of each image, and two for each version and the channel.
    assert len(observed.requests) == 2 * 2 + 2 * (5 + 1)


def test_a_new_location_of_an_old_version_is_found(observed: ObservedStore, keyring: Keyring, line: Line) -> None:
    catalog, web = Catalog(observed, keyring), line.webs[0]
    [publication] = web.publications
    later = ImageLocation("123456789012", "c", "ami-c")
    more = replace(publication, locations=(*publication.locations, later))
    revised = catalog.revise(replace(web, publications=(more,)), "published")
    observed.requests.clear()
    assert find_identity(catalog, "ami-c") == revised
    assert find_identity(catalog, "ami-a-web-0") == revised
    assert len(observed.requests) == 6


@pytest.mark.parametrize(
    "lead",
    [
        "web@x86_64@1.0.0",
        "web@x86_64@1.0.9",
        "web@x86_64@stable",
        "gone@x86_64@latest",
        "web",
        "a@b@c@d",
        "..@..@1.0.0",
    ],
)
def test_an_entry_that_leads_astray_is_passed_over(
    observed: ObservedStore, keyring: Keyring, line: Line, lead: str
) -> None:
    """A write that was announced never came, or somebody wrote it by hand."""
    catalog = Catalog(observed, keyring)
    for identity in ("ami-a-web-2", "ami-unknown"):
        observed.create(f"{IDENTITIES}/{digest_of(identity)}/{lead}", b"")
    observed.create(f"{BASES}/{lead}@{digest_of(line.base.raw_sha256)}", b"")
    assert find_identity(catalog, "ami-a-web-2") == line.webs[2]
    assert find_identity(catalog, "ami-unknown") is None
    assert find_descendants(catalog, line.base) == [*line.webs[:3], line.app]


def test_an_interrupted_write_leaves_no_record_without_its_entries(
    observed: ObservedStore, keyring: Keyring, line: Line
) -> None:
    """Entries come first: a crash between both leaves an entry too many, and none too few."""
    catalog = Catalog(observed, keyring)
    publish(catalog, "web", 4)
    writes = [key for key in observed.requests if key.startswith("create")]
    assert writes[-1] == "create images/web/x86_64/versions/1.0.4/000001.json"
    # Three digests, two images and snapshots, a parameter, a base.
    assert sum(IDENTITIES in key or BASES in key for key in writes) == 9
