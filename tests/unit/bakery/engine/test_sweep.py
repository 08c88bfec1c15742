"""What is in use is never removed, whatever the resource and the record are; what ended runs left is, with a reason."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.catalog import Record, State
from bakery.clouds.target import Resource, ResourceKind
from bakery.engine.sweep import LONGEST_RUN, TEMPORARY, decide
from bakery.model.documents import ImageLocation, Publication

NOW = datetime.now(UTC)
OLD, YOUNG = NOW - 2 * LONGEST_RUN, NOW - LONGEST_RUN / 2
PUBLISHED: tuple[State, ...] = ("complete", "deprecated", "disabled", "revoked")
LASTING: list[ResourceKind] = ["image", "snapshot", "disk"]


def make_record(state: State = "complete", at: datetime = OLD, expires: datetime | None = None) -> Record:
    """A record that names an image and its snapshot, and a withdrawn pair."""
    here, before = (ImageLocation("1", "eu-west-1", f"ami-{name}", f"snap-{name}") for name in ("here", "before"))
    publication = Publication("web", "x86_64", "1.0.0", "5a", "aws", (here,), withdrawn=(before,))
    return Record(
        "web",
        "x86_64",
        "1.0.0",
        1,
        state,
        "key",
        {},
        at=at.isoformat(),
        by="me",
        expires=expires.isoformat() if expires else "",
        publications=() if state == "reserved" else (publication,),
    )


def make_resource(kind: ResourceKind, name: str = "other", since: datetime | None = OLD) -> Resource:
    return Resource("1/eu-west-1", kind, name, "1.0.0", since.isoformat() if since else "")


def outcome(resource: Resource, record: Record | None) -> str:
    return decide(resource, record, NOW).outcome


KINDS = st.sampled_from(get_args(ResourceKind))
NAMES = st.sampled_from(["ami-here", "snap-here", "ami-before", "snap-before", "AMI-HERE", "other"])
AGES = st.timedeltas(timedelta(0), timedelta(days=400))
TIMES = st.none() | AGES.map(lambda age: NOW - age)
RECORDS = st.none() | st.builds(
    make_record,
    st.sampled_from(get_args(State)),
    AGES.map(lambda age: NOW - age),
    st.none() | st.timedeltas(timedelta(days=-9), timedelta(days=9)).map(lambda rest: NOW + rest),
)


@given(KINDS, NAMES, TIMES, RECORDS)
def test_nothing_in_use_is_ever_removed(
    kind: ResourceKind, name: str, since: datetime | None, record: Record | None
) -> None:
    if outcome(make_resource(kind, name, since), record) != "remove":
        return
    assert since is None or NOW - since >= LONGEST_RUN
    if record is None:
        assert (kind in TEMPORARY, since is not None) == (True, True)
    elif record.state == "reserved":
        assert not record.expires or datetime.fromisoformat(record.expires) <= datetime.now(UTC)
    elif record.state != "removed":
        assert name == "other"


@given(KINDS, RECORDS, TIMES)
def test_each_decision_has_a_reason(kind: ResourceKind, record: Record | None, since: datetime | None) -> None:
    reason = decide(make_resource(kind, since=since), record, NOW).reason
    assert reason
    assert "  " not in reason
    assert not reason.endswith(" ")


@pytest.mark.parametrize("state", PUBLISHED)
@pytest.mark.parametrize("kind", get_args(ResourceKind))
def test_what_a_published_record_does_not_name_goes(kind: ResourceKind, state: State) -> None:
    assert outcome(make_resource(kind), make_record(state)) == "remove"


@pytest.mark.parametrize("state", PUBLISHED)
@pytest.mark.parametrize("name", ["ami-here", "snap-here", "ami-before", "snap-before"])
def test_what_a_published_record_names_stays(name: str, state: State) -> None:
    """Also in locations that it was withdrawn from, where consumers may come back."""
    assert outcome(make_resource("image", name), make_record(state)) == "keep"


def test_a_path_of_release_0_1_names_its_file() -> None:
    record = make_record()
    location = ImageLocation("", "", "/old/store/web-1.0.0-x86_64.qcow2")
    publication = replace(record.publications[0], locations=(location,))
    resource = make_resource("disk", "web-1.0.0-x86_64.qcow2")
    assert outcome(resource, replace(record, publications=(publication,))) == "keep"


@pytest.mark.parametrize("name", ["ami-here", "other"])
def test_all_of_a_removed_version_goes(name: str) -> None:
    assert outcome(make_resource("image", name), make_record("removed")) == "remove"


@pytest.mark.parametrize("kind", get_args(ResourceKind))
def test_a_reservation_keeps_all_until_it_expires(kind: ResourceKind) -> None:
    ahead, past = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
    assert outcome(make_resource(kind), make_record("reserved", expires=ahead)) == "keep"
    assert outcome(make_resource(kind), make_record("reserved", expires=past)) == "remove"


@pytest.mark.parametrize("record", [None, make_record(), make_record("removed"), make_record("reserved")])
@pytest.mark.parametrize("kind", get_args(ResourceKind))
def test_what_is_young_stays(kind: ResourceKind, record: Record | None) -> None:
    """Its run may be in the middle of publishing, or of another workspace."""
    assert outcome(make_resource(kind, since=YOUNG), record) == "keep"


def test_without_a_time_the_record_says_how_old_it_is() -> None:
    assert outcome(make_resource("security group", since=None), make_record(at=YOUNG)) == "keep"
    assert outcome(make_resource("security group", since=None), make_record(at=OLD)) == "remove"
    assert outcome(make_resource("security group", since=None), None) == "unknown"


@pytest.mark.parametrize("kind", LASTING)
def test_what_the_catalog_never_had_is_unknown(kind: ResourceKind) -> None:
    """A forgotten BAKERY_CATALOG must not cost anybody's images."""
    assert outcome(make_resource(kind), None) == "unknown"
    assert outcome(replace(make_resource(kind), version=""), None) == "unknown"


@pytest.mark.parametrize("kind", sorted(TEMPORARY))
def test_temporary_things_go_without_a_record(kind: ResourceKind) -> None:
    """No run takes so long, whatever catalog it has."""
    assert outcome(make_resource(kind), None) == "remove"
    assert outcome(replace(make_resource(kind), version=""), None) == "remove"
