import getpass
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bakery.catalog import Catalog, Record, Store
from bakery.catalog.writer import actor, now, owner
from bakery.host.errors import BakeryError, ConflictError, NotFoundError
from bakery.model.documents import Base, ImageLocation, Pointer, Publication, dump
from bakery.model.observations import Observation, Observations, Upgrade
from bakery.model.version import ImageVersion
from bakery.signing import Keyring
from unit.bakery.signed_documents import seal

WEB = ("web", "x86_64")
INPUTS = {"var:nginx.port": "8080"}
LATER = "2026-01-31T12:00:01+00:00"


def reserve(catalog: Catalog, key: str = "key", line: str = "1.0") -> Record:
    return catalog.reserve(*WEB, line, key, INPUTS, "builder", "bake-private")


def complete(catalog: Catalog, key: str = "key", line: str = "1.0", **changes: Any) -> Record:
    return catalog.revise(replace(reserve(catalog, key, line), state="complete", **changes), "published")


def fill(store: Store, keyring: Keyring, *versions: str, **changes: Any) -> None:
    for version in versions:
        record = Record(*WEB, version, 0, "complete", version, {}, at="", by="", **changes)
        envelope = seal(keyring, json.loads(dump(record)))
        assert store.create(f"images/web/x86_64/versions/{version}/000000.json", envelope)


class TestReserve:
    def test_counts_patches_of_each_line(self, catalog: Catalog) -> None:
        assert [reserve(catalog, key).version for key in "abc"] == ["1.0.0", "1.0.1", "1.0.2"]
        assert [reserve(catalog, key, "1.1").version for key in "abc"] == ["1.1.0", "1.1.1", "1.1.2"]
        assert reserve(catalog, "d", "1.10").version == "1.10.0"
        assert catalog.reserve("web", "aarch64", "1.0", "a", {}, "builder", "bake-private").version == "1.0.0"
        assert catalog.reserve("shop", "x86_64", "1.0", "a", {}, "builder", "bake-private").version == "1.0.0"

    def test_is_a_record_without_a_disk(self, catalog: Catalog) -> None:
        record = reserve(catalog)
        assert (record.state, record.revision, record.sha256) == ("reserved", 0, "")
        assert (record.input_key, record.inputs) == ("key", INPUTS)
        assert (record.at, record.by) != ("", "")
        assert catalog.record(ImageVersion(*WEB, "1.0.0")) == record

    def test_same_inputs_take_up_an_open_reservation(self, catalog: Catalog) -> None:
        first = reserve(catalog)
        assert reserve(catalog) == first
        assert catalog.versions(*WEB) == ["1.0.0"]

    def test_same_inputs_after_completion_get_a_new_version(self, catalog: Catalog) -> None:
        complete(catalog)
        assert reserve(catalog).version == "1.0.1"

    @pytest.mark.parametrize("last", [9, 10, 99, 100])
    def test_counts_past_9_and_99(self, catalog: Catalog, store: Store, keyring: Keyring, last: int) -> None:
        fill(store, keyring, *(f"1.0.{number}" for number in range(max(0, last - 2), last + 1)))
        assert reserve(catalog).version == f"1.0.{last + 1}"

    def test_many_at_once_get_a_version_each(self, catalog: Catalog) -> None:
        with ThreadPoolExecutor(8) as pool:
            records = list(pool.map(lambda number: reserve(catalog, f"key {number}"), range(16)))
        assert sorted(record.version for record in records) == sorted(f"1.0.{number}" for number in range(16))
        assert {record.input_key for record in records} == {f"key {number}" for number in range(16)}
        for record in records:
            assert catalog.record(ImageVersion(*WEB, record.version)) == record

    def test_many_at_once_with_the_same_inputs_share_a_version(self, catalog: Catalog) -> None:
        with ThreadPoolExecutor(8) as pool:
            records = list(pool.map(lambda _: reserve(catalog), range(16)))
        assert {record.version for record in records} == {"1.0.0"}

    def test_two_owners_with_the_same_inputs_get_a_number_each(self, catalog: Catalog) -> None:
        first = reserve(catalog)
        second = catalog.reserve(*WEB, "1.0", "key", INPUTS, "another machine", "bake-private")
        assert (first.version, second.version) == ("1.0.0", "1.0.1")
        assert catalog.reserve(*WEB, "1.0", "key", INPUTS, "another machine", "bake-private") == second
        assert reserve(catalog) == first, "an interrupted owner gets its own number back"

    def test_a_reservation_below_a_published_version_is_not_taken_up(self, catalog: Catalog) -> None:
        reserve(catalog)
        other = catalog.reserve(*WEB, "1.0", "key", INPUTS, "another machine", "bake-private")
        catalog.revise(replace(other, state="complete"), "published")
        assert reserve(catalog).version == "1.0.2", "a later bake never gets a lower number"

    @pytest.mark.parametrize("expires", ["2026-01-31T12:00:00+00:00", ""], ids=["expired", "of an older release"])
    def test_an_owner_takes_over_what_has_expired(self, catalog: Catalog, expires: str) -> None:
        abandoned = catalog.revise(replace(reserve(catalog), expires=expires))
        record = catalog.reserve(*WEB, "1.0", "key", INPUTS, "another machine", "bake-private")
        assert (record.version, record.owner, record.revision) == ("1.0.0", "another machine", abandoned.revision + 1)
        assert datetime.fromisoformat(record.expires) > datetime.now(UTC)
        assert catalog.reserve(*WEB, "1.0", "key", INPUTS, "another machine", "bake-private") == record
        assert reserve(catalog).version == "1.0.1", "the first owner has lost its number"

    @pytest.mark.parametrize(
        ("due_since", "version"),
        [("2026-01-31T11:59:59+00:00", "1.0.0"), ("2026-01-31T12:00:00+00:00", "1.0.0"), (LATER, "1.0.1")],
        ids=["older", "as old", "newer"],
    )
    def test_a_reservation_from_before_a_bake_was_due_is_not_taken_up(
        self, catalog: Catalog, monkeypatch: pytest.MonkeyPatch, due_since: str, version: str
    ) -> None:
        with monkeypatch.context() as earlier:
            earlier.setattr("bakery.catalog.reservations.now", lambda: "2026-01-31T12:00:00+00:00")
            reserve(catalog)
        record = catalog.reserve(*WEB, "1.0", "key", INPUTS, "builder", "bake-private", due_since)
        assert record.version == version
        assert catalog.reserve(*WEB, "1.0", "key", INPUTS, "builder", "bake-private", due_since) == record, (
            "a retry gets it back"
        )

    def test_a_number_that_was_taken_over_is_as_old_as_its_first_owner(
        self, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as earlier:
            earlier.setattr("bakery.catalog.reservations.now", lambda: "2026-01-31T12:00:00+00:00")
            catalog.revise(replace(reserve(catalog), expires="2026-01-31T18:00:00+00:00"))
        assert reserve(catalog).version == "1.0.0"
        assert catalog.reserve(*WEB, "1.0", "key", INPUTS, "builder", "bake-private", LATER).version == "1.0.1"

    def test_what_has_expired_goes_to_one_owner(self, catalog: Catalog) -> None:
        catalog.revise(replace(reserve(catalog), expires="2026-01-31T12:00:00+00:00"))
        with ThreadPoolExecutor(8) as pool:
            work = [
                pool.submit(catalog.reserve, *WEB, "1.0", "key", INPUTS, f"machine {number}", "bake-private")
                for number in range(8)
            ]
        records = [future.result() for future in work]
        assert sorted(record.version for record in records) == [f"1.0.{number}" for number in range(8)]

    def test_gives_up_when_every_number_is_taken(self, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(catalog, "versions", lambda *_: [])
        reserve(catalog)
        with pytest.raises(ConflictError, match="other writers take every number") as caught:
            reserve(catalog, "other")
        assert caught.value.hint == "run the same command again"


class TestVersions:
    def test_order_is_by_number(self, catalog: Catalog, store: Store, keyring: Keyring) -> None:
        fill(store, keyring, "1.0.10", "1.0.9", "1.0.100", "10.0.0", "1.10.0", "2.0.0", "1.9.0", "1.0.99")
        in_order = ["1.0.9", "1.0.10", "1.0.99", "1.0.100", "1.9.0", "1.10.0", "2.0.0", "10.0.0"]
        assert catalog.versions(*WEB) == in_order
        newest = {line: catalog.newest(*WEB, line) for line in ("1.0", "1.1", "1.10", "2.0", "")}
        assert {line: record.version if record else None for line, record in newest.items()} == {
            "1.0": "1.0.100",
            "1.1": None,
            "1.10": "1.10.0",
            "2.0": "2.0.0",
            "": "10.0.0",
        }

    def test_newest_is_complete(self, catalog: Catalog) -> None:
        assert catalog.newest(*WEB) is None
        first = complete(catalog, "a")
        second = complete(catalog, "b")
        reserve(catalog, "c")
        assert catalog.newest(*WEB, "1.0") == second
        catalog.revise(replace(second, state="revoked"), "broken")
        assert catalog.newest(*WEB, "1.0") == first
        catalog.revise(replace(first, state="revoked"), "old")
        assert catalog.newest(*WEB, "1.0") is None

    def test_images(self, catalog: Catalog) -> None:
        assert catalog.images() == []
        for image, arch in (("web", "x86_64"), ("app", "x86_64"), ("web", "aarch64")):
            catalog.reserve(image, arch, "1.0", "a", {}, "builder", "bake-private")
        assert catalog.images() == [("app", "x86_64"), ("web", "aarch64"), ("web", "x86_64")]

    def test_unknown_version(self, catalog: Catalog) -> None:
        with pytest.raises(NotFoundError, match=re.escape("web 1.0.0 (x86_64) is not in the catalog")) as caught:
            catalog.record(ImageVersion(*WEB, "1.0.0"))
        assert caught.value.hint == "newest versions: none"
        for key in "abcdefg":
            reserve(catalog, key)
        with pytest.raises(NotFoundError) as caught:
            catalog.record(ImageVersion(*WEB, "2.0.0"))
        assert caught.value.hint == "newest versions: 1.0.2, 1.0.3, 1.0.4, 1.0.5, 1.0.6"

    def test_other_things_in_the_folder_do_not_count(self, catalog: Catalog, store: Store) -> None:
        record = reserve(catalog)
        store.create("images/web/x86_64/versions/README.md", b"")
        store.create("images/web/x86_64/versions/1.0.0/000001.json~", b"")
        store.create("images/web/x86_64/versions/1.0.0/notes.txt", b"")
        assert catalog.versions(*WEB) == ["1.0.0"]
        assert catalog.record(ImageVersion(*WEB, "1.0.0")) == record


class TestRevise:
    def test_keeps_everything(self, catalog: Catalog) -> None:
        full = complete(
            catalog,
            sha256="d" * 64,
            base=Base("debian-12", "1.0.0", "b" * 64),
            publications=(Publication(*WEB, "1.0.0", "d" * 64, "local", (ImageLocation("", "", "disk"),)),),
            tags={"team": "platform"},
            tools={"packer": "1.11.2"},
        )
        assert catalog.record(ImageVersion(*WEB, "1.0.0")) == full
        assert (full.revision, full.reason, full.state) == (1, "published", "complete")
        assert full.publication("local") == full.publications[0]
        assert full.publication("aws") is None

    def test_earlier_revisions_stay(self, catalog: Catalog, store: Store) -> None:
        complete(catalog)
        assert sorted(store.list("images/web/x86_64/versions/1.0.0")) == ["000000.json", "000001.json"]

    def test_two_writers(self, catalog: Catalog) -> None:
        record = reserve(catalog)
        won = catalog.revise(replace(record, state="complete", commit="one"))
        with pytest.raises(ConflictError, match=re.escape("web 1.0.0 was changed by another run")) as caught:
            catalog.revise(replace(record, state="complete", commit="two"))
        assert caught.value.where.endswith("images/web/x86_64/versions/1.0.0/000001.json")
        assert caught.value.hint
        assert catalog.record(ImageVersion(*WEB, "1.0.0")) == won

    def test_many_writers(self, catalog: Catalog) -> None:
        record = reserve(catalog)

        def attempt(number: int) -> Record | None:
            try:
                return catalog.revise(replace(record, commit=str(number)))
            except ConflictError:
                return None

        with ThreadPoolExecutor(8) as pool:
            won = [revised for revised in pool.map(attempt, range(16)) if revised]
        assert [catalog.record(ImageVersion(*WEB, "1.0.0"))] == won

    def test_more_than_nine(self, catalog: Catalog) -> None:
        record = reserve(catalog)
        for number in range(1, 12):
            record = catalog.revise(record, f"reason {number}")
        assert catalog.record(ImageVersion(*WEB, "1.0.0")).reason == "reason 11"


class TestChannels:
    def test_moves_and_remembers(self, catalog: Catalog) -> None:
        assert catalog.channel(*WEB, "stable") is None
        assert catalog.channels(*WEB) == []
        first, second = complete(catalog, "a"), complete(catalog, "b")
        pointer = Pointer("1", "eu-west-1", "/bakery/web", 1, "ami-1")
        one = catalog.move(first, "stable", "tested", None, (pointer,))
        two = catalog.move(second, "stable", "newer", one)
        three = catalog.move(first, "stable", "back", two)
        assert [entry.version for entry in (one, two, three)] == ["1.0.0", "1.0.1", "1.0.0"]
        assert catalog.channel(*WEB, "stable") == three
        assert catalog.history(*WEB, "stable") == [one, two, three]
        assert (one.pointers, one.reason, one.number, three.number) == ((pointer,), "tested", 0, 2)
        catalog.move(first, "candidate", "", None)
        assert catalog.channels(*WEB) == ["candidate", "stable"]

    @pytest.mark.parametrize("state", ["reserved", "revoked", "retired"])
    def test_only_complete_versions(self, catalog: Catalog, state: Any) -> None:
        record = catalog.revise(replace(reserve(catalog), state=state))
        with pytest.raises(BakeryError, match=f"web 1.0.0 is {state}: only a complete version") as caught:
            catalog.move(record, "stable", "", None)
        assert caught.value.hint
        assert catalog.channels(*WEB) == []

    def test_two_movers(self, catalog: Catalog) -> None:
        first, second = complete(catalog, "a"), complete(catalog, "b")
        before = catalog.move(first, "stable", "", None)
        won = catalog.move(second, "stable", "", before)
        for stale in (before, None):
            with pytest.raises(ConflictError, match="channel stable of web was moved by another run"):
                catalog.move(first, "stable", "again", stale)
        assert catalog.channel(*WEB, "stable") == won

    def test_many_movers(self, catalog: Catalog) -> None:
        record = complete(catalog)

        def attempt(number: int) -> bool:
            try:
                catalog.move(record, "stable", str(number), None)
            except ConflictError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(attempt, range(16))) == 1
        assert len(catalog.history(*WEB, "stable")) == 1

    def test_history_past_9(self, catalog: Catalog) -> None:
        record, entry = complete(catalog), None
        for _ in range(12):
            entry = catalog.move(record, "stable", "", entry)
        assert [found.number for found in catalog.history(*WEB, "stable")] == list(range(12))
        assert catalog.channel(*WEB, "stable") == entry


class TestDamage:
    @pytest.mark.parametrize(
        ("data", "where", "message"),
        [
            (b"{", "", "it is not a DSSE envelope"),
            (b"", "", "it is not a DSSE envelope"),
            (b"{}", "", "it is not a DSSE envelope"),
            (None, ": image", "not a valid record document: (Unexpected keyword argument|Field required|Missing requ)"),
        ],
    )
    def test_record_says_which(
        self, catalog: Catalog, store: Store, keyring: Keyring, data: bytes | None, where: str, message: str
    ) -> None:
        key = "images/web/x86_64/versions/1.0.0/000000.json"
        store.create(key, seal(keyring, {}) if data is None else data)
        with pytest.raises(BakeryError, match=message) as caught:
            catalog.record(ImageVersion(*WEB, "1.0.0"))
        assert caught.value.where == f"{catalog.location}/{key}{where}"
        assert caught.value.hint.endswith("restore this file of the catalog from a backup")

    @pytest.mark.parametrize("key", ["at", "baked", "expires"])
    @pytest.mark.parametrize("time", ["soon", "2026-13-01T00:00:00+00:00", "2026-01-31T12:00:00"])
    def test_a_time_that_is_none(self, catalog: Catalog, store: Store, keyring: Keyring, key: str, time: str) -> None:
        path = "images/web/x86_64/versions/1.0.0/000000.json"
        good = json.loads(dump(Record(*WEB, "1.0.0", 0, "reserved", "", {}, "", "")))
        store.create(path, seal(keyring, good | {key: time}))
        with pytest.raises(BakeryError, match="not a valid record document") as caught:
            reserve(catalog)
        assert caught.value.where == f"{catalog.location}/{path}: {key}"

    def test_record_of_a_newer_bakery(self, catalog: Catalog, store: Store, keyring: Keyring) -> None:
        newer = json.loads(dump(reserve(catalog))) | {"schema": "bakery/record/2"}
        store.create("images/web/x86_64/versions/1.0.0/000001.json", seal(keyring, newer))
        with pytest.raises(BakeryError, match="Input should be 'bakery/record/1'") as caught:
            catalog.newest(*WEB)
        assert "another version of bakery" in caught.value.hint

    def test_channel_says_which(self, catalog: Catalog, store: Store) -> None:
        store.create("images/web/x86_64/channels/stable/000000.json", b"{")
        for read in (catalog.channel, catalog.history):
            with pytest.raises(BakeryError, match="it is not a DSSE envelope") as caught:
                read(*WEB, "stable")
            assert caught.value.where == f"{catalog.location}/images/web/x86_64/channels/stable/000000.json"


class TestWho:
    def test_jobs_of_one_pipeline_own_reservations_together(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CI_PIPELINE_URL", "https://gitlab.example.org/pipelines/7")
        for job in ("1", "2"):
            monkeypatch.setenv("CI_JOB_URL", f"https://gitlab.example.org/job/{job}")
            assert owner(Path("/builds/web/.bakery")) == "https://gitlab.example.org/pipelines/7"

    def test_workspaces_are_owners_of_their_own(self) -> None:
        assert owner(Path("/home/ada/one")) != owner(Path("/home/ada/two"))
        assert owner(Path("/home/ada/one")).startswith(actor())

    def test_job_of_the_pipeline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CI_JOB_URL", "https://gitlab.example.org/job/1")
        assert actor() == "https://gitlab.example.org/job/1"

    def test_user(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(getpass, "getuser", lambda: "ada")
        assert actor().startswith("ada@")

    @pytest.mark.parametrize("error", [KeyError, OSError])
    def test_number_without_a_name(self, monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
        def unknown() -> str:
            raise error("getpwuid(): uid not found: 1234")

        monkeypatch.setattr(getpass, "getuser", unknown)
        monkeypatch.setattr("os.getuid", lambda: 1234)
        assert actor().startswith("1234@")

    def test_time_is_utc(self) -> None:
        assert datetime.fromisoformat(now()).utcoffset() == timedelta(0)


class TestRevoke:
    def test_is_a_revision_with_its_reason(self, catalog: Catalog) -> None:
        record = complete(catalog, "a")
        revoked = catalog.change_state(record, "revoked", "CVE-2026-1234")
        assert (revoked.state, revoked.reason, revoked.revision) == ("revoked", "CVE-2026-1234", record.revision + 1)
        assert catalog.record(ImageVersion(*WEB, "1.0.0")) == revoked
        assert catalog.newest(*WEB) is None

    def test_again_keeps_the_first_reason(self, catalog: Catalog) -> None:
        revoked = catalog.change_state(complete(catalog, "a"), "revoked", "CVE-2026-1234")
        assert catalog.change_state(revoked, "revoked", "another") == revoked

    def test_only_what_is_complete(self, catalog: Catalog) -> None:
        with pytest.raises(BakeryError, match=r"web 1\.0\.0 is reserved and cannot be revoked") as caught:
            catalog.change_state(reserve(catalog), "revoked", "")
        assert caught.value.hint.startswith("do nothing: ")

    def test_not_what_channels_point_at(self, catalog: Catalog) -> None:
        first, second = complete(catalog, "a"), complete(catalog, "b")
        for channel in ("stable", "candidate", "old"):
            entry = catalog.move(first, channel, "", None)
        catalog.move(second, "old", "", entry)
        with pytest.raises(BakeryError, match="candidate, stable point at it") as caught:
            catalog.change_state(first, "revoked", "")
        assert "'bakery rollback web candidate'" in caught.value.hint
        assert catalog.record(ImageVersion(*WEB, "1.0.0")) == first

    def test_a_promotion_that_came_in_between_is_named(self, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        first = complete(catalog, "a")
        revise = Catalog.revise

        def promote_before(self: Catalog, record: Record, reason: str = "") -> Record:
            catalog.move(first, "stable", "", None)
            return revise(self, record, reason)

        monkeypatch.setattr(Catalog, "revise", promote_before)
        with pytest.raises(ConflictError, match="is revoked, but was promoted meanwhile: stable points at it"):
            catalog.change_state(first, "revoked", "leaks")
        assert catalog.record(ImageVersion(*WEB, "1.0.0")).state == "revoked"
        with pytest.raises(ConflictError, match="stable points at it"):
            catalog.change_state(catalog.record(ImageVersion(*WEB, "1.0.0")), "revoked", "leaks")


def observe(image: str, version: str = "1.0.0") -> Observation:
    return Observation(image, "x86_64", version, "2026-01-31T12:00:00+00:00", (), Upgrade())


class TestObservations:
    def test_there_are_none_before_the_first_refresh(self, catalog: Catalog) -> None:
        assert catalog.newest_observations() == Observations()

    def test_each_refresh_is_kept_with_those_of_other_images(self, catalog: Catalog, store: Store) -> None:
        first = catalog.keep_observations([observe("web"), observe("base")])
        assert [one.image for one in first.observations] == ["base", "web"]
        second = catalog.keep_observations([observe("web", "1.0.1")])
        assert second.observations == (observe("base"), observe("web", "1.0.1"))
        assert catalog.newest_observations() == second
        assert sorted(store.list("observations")) == ["000000.json", "000001.json"]

    def test_writers_at_the_same_time_lose_nothing(self, catalog: Catalog) -> None:
        names = [f"image-{number}" for number in range(6)]
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda name: catalog.keep_observations([observe(name)]), names))
        assert [one.image for one in catalog.newest_observations().observations] == names


class TestFailures:
    def test_those_since_a_version(self, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        assert catalog.failures_since(*WEB, None) == ()
        for hour, step in ((8, "bake"), (10, "verify"), (11, "publish")):
            monkeypatch.setattr("bakery.catalog.failure_log.now", lambda hour=hour: f"2026-01-31T{hour:02}:00:00+00:00")
            catalog.keep_failure(*WEB, step, "key", f"{step} failed")
            if hour == 8:
                monkeypatch.setattr("bakery.catalog.versions.now", lambda: "2026-01-31T09:00:00+00:00")
                record = complete(catalog)
        assert [one.step for one in catalog.failures_since(*WEB, record)] == ["verify", "publish"]
        assert [one.number for one in catalog.failures_since(*WEB, None)] == [0, 1, 2]
        assert catalog.failures_since("base", "x86_64", None) == ()

    def test_writers_at_the_same_time_lose_nothing(self, catalog: Catalog) -> None:
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda number: catalog.keep_failure(*WEB, "bake", "key", str(number)), range(6)))
        failures = catalog.failures_since(*WEB, None)
        assert [one.number for one in failures] == list(range(6))
        assert sorted(one.message for one in failures) == list("012345")
