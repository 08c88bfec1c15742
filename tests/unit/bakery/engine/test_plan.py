import copy
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bakery.catalog.record import ChannelEntry, Failure, Move, Record
from bakery.clouds.definitions import Definition
from bakery.engine import plan
from bakery.engine.plan import Action, Plan
from bakery.engine.world import Lookups, World
from bakery.model import documents
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Base, ImageLocation, Publication
from bakery.model.inputs import Change, input_key
from bakery.model.observations import Observation, Observations, Update, Upgrade

NOW = datetime(2026, 2, 1, tzinfo=UTC)
AWS = {"regions": ["eu-central-1", "eu-west-1"], "accounts": ["222222222222"]}


def image(name: str = "web", parent: str = "", **changes: Any) -> ImageDefinition:
    base = {"image": parent} if parent else {"debootstrap": {"suite": "bookworm"}}
    text = {
        "name": name,
        "description": "An image",
        "os": "debian-12",
        "arch": "x86_64",
        "version": "1.0",
        "base": {"qemu": base},
    }
    return Definition.model_validate_json(json.dumps(text | changes))


def publication(target: str, *locations: tuple[str, str]) -> Publication:
    found = tuple(ImageLocation(account, region, "ami-1") for account, region in locations or [("", "")])
    return Publication("web", "x86_64", "1.0.3", "d" * 64, target, found)


def on_aws(*regions: str, accounts: tuple[str, ...] = ("111111111111", "222222222222")) -> Publication:
    return publication("aws", *((account, region) for account in accounts for region in regions))


@dataclass
class FakeInputs:
    """Inputs by image (each gets its parent's digest as `base`) and newest records; counts what is asked."""

    inputs: dict[str, dict[str, str]] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    latest: dict[str, Record] = field(default_factory=dict)  # where not the newest complete version is
    heads: dict[str, ChannelEntry] = field(default_factory=dict)  # of the images' channels
    moves: dict[str, Move] = field(default_factory=dict)
    observations: list[Observation] = field(default_factory=list)
    failures: dict[str, list[Failure]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def inputs_of(self, found: ImageDefinition, base: str) -> Mapping[str, str]:
        return {"var:nginx.port": "8080"} | self.inputs.get(found.name, {}) | {"base": base}

    def head_of(self, found: ImageDefinition) -> ChannelEntry | None:
        return self.heads.get(found.name)

    def point(self, version: str, *, held: bool = False, reason: str = "") -> None:
        """Point the channel stable of web at a version."""
        at = "2026-01-31T12:00:00+00:00"
        self.heads["web"] = ChannelEntry("web", "x86_64", "stable", 0, version, at, "ada", reason, held=held)

    def newest_of(self, found: ImageDefinition) -> Record | None:
        self.asked.append(found.name)
        return self.records.get(found.name)

    def latest_of(self, found: ImageDefinition) -> Record | None:
        return self.latest.get(found.name) or self.records.get(found.name)

    def bake(self, found: ImageDefinition, **changes: Any) -> Record:
        """Put a complete version into the catalog, made from the present inputs."""
        parent = self.records.get(found.parent or "")
        inputs = dict(self.inputs_of(found, parent.content if parent else ""))
        record = Record(
            image=found.name,
            arch=found.arch,
            version="1.0.3",
            revision=1,
            state="complete",
            input_key=input_key(inputs),
            inputs=inputs,
            at="2026-01-31T12:00:00+00:00",
            by="user@host",
            sha256=f"file of {found.name}",
            raw_sha256=f"content of {found.name}",
            baked="2026-01-31T12:00:00+00:00",
            tags=dict(found.tags),
            publications=(publication("local"),),
        )
        self.records[found.name] = replace(record, **changes)
        return self.records[found.name]

    def plan(self, *images: ImageDefinition, now: datetime = NOW, rebuilds: Collection[str] = ()) -> Plan:
        observations = Observations(observations=tuple(self.observations)).by_version
        world = World(now, observations, rebuilds=dict.fromkeys(rebuilds, NOW), failures=self.failures)
        lookups = Lookups(
            self.newest_of,
            self.latest_of,
            self.head_of,
            lambda found: self.moves.get(found.name),
            lambda entry: replace(self.records[entry.image], version=entry.version),
        )
        return plan.plan(images, lookups, self.inputs_of, world)


@pytest.fixture
def world() -> FakeInputs:
    return FakeInputs()


def only(planned: Plan) -> Action:
    (action,) = planned.actions
    return action


class TestBake:
    def test_new_image(self, world: FakeInputs) -> None:
        action = only(world.plan(image()))
        assert (action.kind, action.reason) == ("bake", "never baked")
        assert (action.version, action.release_line, action.changes) == ("", "1.0", ())
        assert action.inputs == {"var:nginx.port": "8080", "base": ""}
        assert action.input_key == input_key(action.inputs)

    def test_changed_input(self, world: FakeInputs) -> None:
        world.bake(image())
        world.inputs["web"] = {"var:nginx.port": "8081"}
        action = only(world.plan(image()))
        assert (action.kind, action.reason, action.version) == ("bake", "var:nginx.port: 8080 -> 8081", "1.0.3")
        assert action.changes == (Change("var:nginx.port", "8080", "8081"),)
        assert action.inputs["var:nginx.port"] == "8081"

    def test_several_changes_name_what_a_user_edits_first(self, world: FakeInputs) -> None:
        world.bake(image())
        world.inputs["web"] = {"engine": "2", "tool:packer": "2", "var:nginx.port": "8081"}
        action = only(world.plan(image()))
        assert action.reason == "var:nginx.port: 8080 -> 8081 and 2 more"
        assert [change.input for change in action.changes] == ["var:nginx.port", "engine", "tool:packer"]

    @pytest.mark.parametrize(
        ("before", "after", "reason"),
        [
            ({}, {"packages": "[]"}, "packages added"),
            ({"packages": "[]"}, {}, "packages removed"),
            ({"role:nginx/a": "a" * 64}, {"role:nginx/a": "b" * 64}, "role:nginx/a changed"),
            ({}, {"machine:empty": ""}, "machine:empty added"),
        ],
    )
    def test_words_for_a_change(
        self, world: FakeInputs, before: dict[str, str], after: dict[str, str], reason: str
    ) -> None:
        world.inputs["web"] = before
        world.bake(image())
        world.inputs["web"] = after
        assert only(world.plan(image())).reason == reason

    def test_key_that_was_made_in_another_way(self, world: FakeInputs) -> None:
        world.bake(image(), input_key="0" * 64)
        action = only(world.plan(image()))
        assert (action.kind, action.changes) == ("bake", ())
        assert action.reason == "another release computed the input key of 1.0.3"

    @pytest.mark.parametrize(("days", "kind"), [(6, "keep"), (7, "keep"), (8, "bake")])
    def test_age(self, world: FakeInputs, days: int, kind: str) -> None:
        old = image(rebuild_after_days=7)
        world.bake(old, baked=(NOW - timedelta(days=days)).isoformat())
        action = only(world.plan(old))
        assert action.kind == kind
        if kind == "bake":
            assert action.reason == "1.0.3 is 8 days old (rebuild_after_days: 7)"
            assert action.input_key == world.records["web"].input_key

    def test_age_does_not_matter_unless_asked(self, world: FakeInputs) -> None:
        world.bake(image(), baked="2001-01-01T00:00:00+00:00")
        assert only(world.plan(image())).kind == "keep"

    def test_age_is_of_the_disk_not_of_the_record(self, world: FakeInputs) -> None:
        old = image(rebuild_after_days=7)
        world.bake(old, baked="2026-01-01T00:00:00+00:00", at=NOW.isoformat())
        assert only(world.plan(old)).kind == "bake"


OPENSSL = Update("openssl", "3.0.17-1~deb12u2", "3.0.17-1~deb12u3", "bookworm-security", True)
TZDATA = Update("tzdata", "2024a-0+deb12u1", "2025b-0+deb12u1", "bookworm-updates", False)


def observe(
    *updates: Update, version: str = "1.0.3", arch: str = "x86_64", name: str = "web", hours: float = 1
) -> Observation:
    at = (NOW - timedelta(hours=hours)).isoformat()
    return Observation(name, arch, version, at, (), Upgrade(updates))


class TestUpdates:
    def test_updates_make_an_image_due(self, world: FakeInputs) -> None:
        record = world.bake(image())
        world.observations = [observe(TZDATA, OPENSSL)]
        action = only(world.plan(image()))
        assert (action.kind, action.version, action.changes) == ("bake", "1.0.3", ())
        assert action.reason == (
            "2 packages have updates, 1 for security: "
            "openssl 3.0.17-1~deb12u2 -> 3.0.17-1~deb12u3 (bookworm-security), "
            "tzdata 2024a-0+deb12u1 -> 2025b-0+deb12u1 (bookworm-updates)"
        )
        assert (action.input_key, action.inputs) == (record.input_key, record.inputs)

    def test_one_update_that_is_not_for_security(self, world: FakeInputs) -> None:
        world.bake(image())
        world.observations = [observe(TZDATA)]
        assert only(world.plan(image())).reason == (
            "1 package has an update: tzdata 2024a-0+deb12u1 -> 2025b-0+deb12u1 (bookworm-updates)"
        )

    def test_updates_that_may_be_for_security(self, world: FakeInputs) -> None:
        world.bake(image())
        bash = Update("bash", "5.1.8-6.el9", "5.1.8-9.el9", "baseos", None)
        world.observations = [observe(replace(TZDATA, name="a"), bash, OPENSSL)]
        assert only(world.plan(image())).reason == (
            "3 packages have updates, 1 for security, 1 perhaps for security: "
            "openssl 3.0.17-1~deb12u2 -> 3.0.17-1~deb12u3 (bookworm-security), "
            "bash 5.1.8-6.el9 -> 5.1.8-9.el9 (baseos), "
            "a 2024a-0+deb12u1 -> 2025b-0+deb12u1 (bookworm-updates)"
        )

    def test_an_update_that_may_be_for_security_is_not_what_security_brings(self, world: FakeInputs) -> None:
        world.bake(image(updates="security"))
        world.observations = [observe(replace(TZDATA, security=None))]
        assert only(world.plan(image(updates="security"))).kind == "keep"

    def test_at_most_three_are_named(self, world: FakeInputs) -> None:
        world.bake(image())
        world.observations = [observe(*(replace(TZDATA, name=f"a{number}") for number in range(4)), OPENSSL)]
        reason = only(world.plan(image())).reason
        assert reason.startswith("5 packages have updates, 1 for security: openssl ")
        assert reason.count(" -> ") == 3
        assert reason.endswith(", a1 2024a-0+deb12u1 -> 2025b-0+deb12u1 (bookworm-updates), …")

    @pytest.mark.parametrize(
        "other",
        [observe(OPENSSL, version="1.0.2"), observe(OPENSSL, arch="aarch64"), observe(OPENSSL, name="base")],
    )
    def test_an_observation_of_another_version_says_nothing(self, world: FakeInputs, other: Observation) -> None:
        world.bake(image())
        world.observations = [other]
        action = only(world.plan(image()))
        assert (action.kind, action.reason) == ("keep", "inputs unchanged; not refreshed")

    @pytest.mark.parametrize(
        ("hours", "reason"),
        [
            (0, "inputs unchanged; no updates"),
            (24, "inputs unchanged; no updates"),
            (25, "inputs unchanged; not refreshed since 2026-01-30T23:00:00+00:00"),
            (-1, "inputs unchanged; no updates"),
            (-25, "inputs unchanged; not refreshed since 2026-02-02T01:00:00+00:00"),
        ],
    )
    def test_an_old_observation_is_called_old(self, world: FakeInputs, hours: int, reason: str) -> None:
        world.bake(image())
        world.observations = [observe(hours=hours)]
        action = only(world.plan(image()))
        assert (action.kind, action.reason) == ("keep", reason)

    @pytest.mark.parametrize(
        ("updates", "kind", "reason"),
        [
            ("all", "bake", "2 packages have updates, 1 for security: openssl"),
            ("security", "bake", "1 package has an update, 1 for security: openssl"),
            ("none", "keep", "inputs unchanged; 2 updates are left out (updates: none)"),
        ],
    )
    def test_only_updates_that_a_bake_brings_are_due(
        self, world: FakeInputs, updates: str, kind: str, reason: str
    ) -> None:
        world.bake(image(updates=updates))
        world.observations = [observe(TZDATA, OPENSSL)]
        action = only(world.plan(image(updates=updates)))
        assert action.kind == kind
        assert action.reason.startswith(reason)

    @pytest.mark.parametrize("versions", ["pinned", "offline"])
    def test_a_lock_moves_before_its_image_does(self, world: FakeInputs, versions: str) -> None:
        world.bake(image(package_versions=versions))
        world.observations = [observe(TZDATA, OPENSSL)]
        action = only(world.plan(image(package_versions=versions)))
        assert (action.kind, action.reason) == ("keep", "inputs unchanged; 2 updates since the lock")
        assert action.due_since == ""

    def test_updates_that_are_not_for_security_are_left_out(self, world: FakeInputs) -> None:
        world.bake(image(updates="security"))
        world.observations = [observe(TZDATA)]
        action = only(world.plan(image(updates="security")))
        assert action.reason == "inputs unchanged; 1 update is left out (updates: security)"

    def test_old_updates_are_still_due(self, world: FakeInputs) -> None:
        world.bake(image())
        world.observations = [observe(OPENSSL, hours=1000)]
        assert only(world.plan(image())).kind == "bake"

    def test_a_changed_input_comes_first(self, world: FakeInputs) -> None:
        world.bake(image())
        world.inputs["web"] = {"var:nginx.port": "8081"}
        world.observations = [observe(OPENSSL)]
        assert only(world.plan(image())).reason == "var:nginx.port: 8080 -> 8081"

    def test_children_wait_for_a_parent_with_updates(self, world: FakeInputs) -> None:
        base, web = image("base"), image("web", "base")
        world.bake(base)
        world.bake(web)
        world.observations = [observe(OPENSSL, name="base"), observe()]
        assert [action.kind for action in world.plan(base, web).actions] == ["bake", "wait"]


class TestRebuild:
    def test_an_image_is_due_although_nothing_changed(self, world: FakeInputs) -> None:
        record = world.bake(image())
        action = only(world.plan(image(), rebuilds=["web"]))
        assert (action.kind, action.reason, action.version) == ("bake", "asked for by --rebuild", "1.0.3")
        assert (action.input_key, action.inputs, action.changes) == (record.input_key, record.inputs, ())
        assert action.due_since == NOW.isoformat()

    def test_what_was_baked_since_is_kept(self, world: FakeInputs) -> None:
        world.bake(image(), baked=NOW.isoformat())
        assert only(world.plan(image(), rebuilds=["web"])).kind == "keep"

    def test_what_a_clock_that_was_ahead_baked_before_is_baked_again(self, world: FakeInputs) -> None:
        world.bake(image(), baked=(NOW + timedelta(days=1)).isoformat())
        assert only(world.plan(image(), rebuilds=["web"])).reason == "asked for by --rebuild"

    def test_another_reason_comes_first(self, world: FakeInputs) -> None:
        world.bake(image())
        world.inputs["web"] = {"var:nginx.port": "8081"}
        action = only(world.plan(image(), rebuilds=["web"]))
        assert (action.reason, action.due_since) == ("var:nginx.port: 8080 -> 8081", NOW.isoformat())

    def test_a_parent_that_nobody_named_is_kept(self, world: FakeInputs) -> None:
        base, web = image("base"), image("web", "base")
        world.bake(base)
        world.bake(web)
        assert [action.kind for action in world.plan(base, web, rebuilds=["web"]).actions] == ["keep", "bake"]
        assert [action.kind for action in world.plan(base, web, rebuilds=["base"]).actions] == ["bake", "wait"]

    def test_a_child_that_waits_is_due_since_the_same_time(self, world: FakeInputs) -> None:
        base, web = image("base"), image("web", "base")
        world.bake(base)
        world.bake(web)
        actions = world.plan(base, web, rebuilds=["base", "web"]).actions
        assert [(action.kind, action.due_since) for action in actions] == [
            ("bake", NOW.isoformat()),
            ("wait", NOW.isoformat()),
        ]
        assert [action.due_since for action in world.plan(base, web, rebuilds=["base"]).actions] == [
            NOW.isoformat(),
            "",
        ]


class TestPause:
    """An image whose runs failed too often with the same inputs."""

    LIMITED = image(max_failures=2)

    def fail(self, world: FakeInputs, *keys: str) -> None:
        for number, key in enumerate(keys):
            at = f"2026-01-3{number}T12:00:00+00:00"
            failure = Failure("web", "x86_64", number, "verify", key, f"port {80 + number} is closed", at, "user@host")
            world.failures.setdefault("web", []).append(failure)

    def test_says_how_often_and_how_it_failed(self, world: FakeInputs) -> None:
        key = only(world.plan(self.LIMITED)).input_key
        self.fail(world, key)
        assert only(world.plan(self.LIMITED)).kind == "bake"
        self.fail(world, key, key)
        planned = world.plan(self.LIMITED)
        reason = "paused after 3 failures, the last on 2026-01-31 in verify: port 81 is closed"
        assert (only(planned).kind, only(planned).reason, planned.pending) == ("pause", reason, ())

    def test_no_image_pauses_unasked(self, world: FakeInputs) -> None:
        self.fail(world, *[only(world.plan(image())).input_key] * 9)
        assert only(world.plan(image())).kind == "bake"

    def test_ends_with_other_inputs(self, world: FakeInputs) -> None:
        self.fail(world, "of an earlier role", "of an earlier role")
        assert only(world.plan(self.LIMITED)).kind == "bake"

    def test_ends_with_a_rebuild(self, world: FakeInputs) -> None:
        self.fail(world, *[only(world.plan(self.LIMITED)).input_key] * 2)
        assert only(world.plan(self.LIMITED, rebuilds=["web"])).kind == "bake"

    def test_an_image_that_is_not_due_is_kept(self, world: FakeInputs) -> None:
        record = world.bake(self.LIMITED)
        self.fail(world, record.input_key, record.input_key)
        assert only(world.plan(self.LIMITED)).kind == "keep"

    def test_children_go_on_with_the_version_that_there_is(self, world: FakeInputs) -> None:
        api = image("api", "web")
        assert [action.kind for action in world.plan(self.LIMITED, api).actions] == ["bake", "wait"]
        record = world.bake(self.LIMITED)
        world.bake(api)
        world.inputs["web"] = {"var:nginx.port": "8081"}
        self.fail(world, *[world.plan(self.LIMITED).actions[0].input_key] * 2)
        assert [action.kind for action in world.plan(self.LIMITED, api).actions] == ["pause", "keep"]
        world.inputs["api"] = {"var:api.port": "1"}
        api_action = world.plan(self.LIMITED, api).actions[1]
        assert (api_action.kind, api_action.inputs["base"]) == ("bake", record.raw_sha256)

    def test_children_wait_for_a_first_version(self, world: FakeInputs) -> None:
        self.fail(world, *[only(world.plan(self.LIMITED)).input_key] * 2)
        assert [action.kind for action in world.plan(self.LIMITED, image("api", "web")).actions] == ["pause", "wait"]


class TestDueSince:
    """The time before which no disk of the same inputs will do."""

    def test_the_first_observation_of_the_updates(self, world: FakeInputs) -> None:
        world.bake(image())
        world.observations = [replace(observe(OPENSSL), since="2026-01-31T18:00:00+00:00")]
        assert only(world.plan(image())).due_since == "2026-01-31T18:00:00+00:00"

    def test_updates_count_beside_a_changed_input(self, world: FakeInputs) -> None:
        world.bake(image())
        world.inputs["web"] = {"var:nginx.port": "8081"}
        world.observations = [observe(OPENSSL)]
        assert only(world.plan(image())).due_since == "2026-01-31T23:00:00+00:00"

    def test_updates_that_no_bake_brings_do_not_count(self, world: FakeInputs) -> None:
        found = image(updates="security")
        world.bake(found)
        world.inputs["web"] = {"var:nginx.port": "8081"}
        world.observations = [observe(TZDATA)]
        assert only(world.plan(found)).due_since == ""

    def test_a_disk_may_be_as_old_as_the_definition_allows(self, world: FakeInputs) -> None:
        assert only(world.plan(image(rebuild_after_days=7))).due_since == "2026-01-25T00:00:00+00:00"

    def test_an_input_alone_has_no_time(self, world: FakeInputs) -> None:
        assert only(world.plan(image())).due_since == ""


class TestEncryption:
    @pytest.fixture
    def keyed(self) -> ImageDefinition:
        settings = {"regions": ["eu-central-1"], "kms_alias": "bakery"}
        return image(targets=["local", "aws"], distribution={"aws": settings})

    def test_another_key_takes_new_images(self, world: FakeInputs, keyed: ImageDefinition) -> None:
        """An image keeps the key that it was made with, or none."""
        plain = replace(on_aws("eu-central-1").locations[0], key_alias="")
        world.bake(keyed, publications=(publication("local"), replace(on_aws(), locations=(plain,))))
        action = only(world.plan(keyed))
        expected = "encryption at aws changed: none -> alias/bakery, and images keep theirs"
        assert (action.kind, action.reason) == ("bake", expected)

    def test_images_of_older_releases_are_unknown(self, world: FakeInputs, keyed: ImageDefinition) -> None:
        unknown = on_aws("eu-central-1", accounts=("111111111111",))
        world.bake(keyed, publications=(publication("local"), unknown))
        assert only(world.plan(keyed)).kind == "keep"


class TestKeepAndPublish:
    def test_nothing_to_do(self, world: FakeInputs) -> None:
        world.bake(image())
        planned = world.plan(image())
        assert only(planned) == Action(
            "web", "x86_64", "keep", "inputs unchanged; not refreshed", "1.0.3", "1.0", world.records["web"].input_key
        )
        assert planned.pending == ()

    @pytest.mark.parametrize(
        ("publications", "reason"),
        [
            ((), "not yet at target local"),
            ((publication("local"),), "not yet at target aws"),
            ((publication("local"), on_aws("eu-central-1")), "not yet in eu-west-1"),
            (
                (publication("local"), on_aws("eu-central-1", "eu-west-1", accounts=("111111111111",))),
                "not yet in 222222222222",
            ),
            (
                (publication("local"), on_aws("us-east-1", accounts=("111111111111",))),
                "not yet in eu-central-1, eu-west-1, 222222222222",
            ),
            ((publication("local"), on_aws("eu-central-1", "eu-west-1")), ""),
            (
                (publication("local"), on_aws("eu-central-1", "eu-west-1", "us-east-1")),
                "still in 111111111111/us-east-1, 222222222222/us-east-1, which the definition does not name",
            ),
        ],
    )
    def test_targets_regions_and_accounts(
        self, world: FakeInputs, publications: tuple[Publication, ...], reason: str
    ) -> None:
        found = image(targets=["local", "aws"], distribution={"aws": AWS})
        world.bake(found, publications=publications)
        action = only(world.plan(found))
        assert (action.kind, action.reason) == (
            ("publish", reason) if reason else ("keep", "inputs unchanged; not refreshed")
        )
        assert (action.version, action.inputs) == ("1.0.3", {})

    @pytest.mark.parametrize(
        ("tags", "names"),
        [
            ({"team": "web"}, "team"),
            ({}, "team"),
            ({"team": "platform", "cost": "1", "app": "x"}, "app, cost"),
            ({"team": "platform", "empty": ""}, "empty"),
        ],
    )
    def test_tags(self, world: FakeInputs, tags: dict[str, str], names: str) -> None:
        world.bake(image(tags={"team": "platform"}))
        action = only(world.plan(image(tags=tags)))
        assert (action.kind, action.reason) == ("publish", f"tags changed: {names}")

    def test_bake_comes_before_publish(self, world: FakeInputs) -> None:
        world.bake(image(), publications=())
        world.inputs["web"] = {"var:nginx.port": "1"}
        assert only(world.plan(image())).kind == "bake"


class TestVersions:
    def test_the_first_one(self, world: FakeInputs) -> None:
        assert only(world.plan(image())).next_version == "1.0.0"

    def test_the_next_one(self, world: FakeInputs) -> None:
        world.bake(image())
        world.inputs["web"] = {"var:nginx.port": "1"}
        action = only(world.plan(image()))
        assert (action.version, action.next_version) == ("1.0.3", "1.0.4")

    @pytest.mark.parametrize("kind", ["keep", "publish"])
    def test_none_comes_without_a_bake(self, world: FakeInputs, kind: str) -> None:
        world.bake(image(), publications=(publication("local"),) if kind == "keep" else ())
        action = only(world.plan(image()))
        assert (action.kind, action.version, action.next_version) == (kind, "1.0.3", "")

    def test_a_new_release_line(self, world: FakeInputs) -> None:
        world.latest["web"] = world.bake(image())
        del world.records["web"]
        action = only(world.plan(image(version="1.1")))
        assert action.reason == "release line 1.1 has no version yet"
        assert (action.version, action.next_version) == ("1.0.3", "1.1.0")

    def test_a_number_that_another_bake_did_not_finish(self, world: FakeInputs) -> None:
        world.latest["web"] = world.bake(image(), state="reserved")
        del world.records["web"]
        action = only(world.plan(image()))
        assert (action.reason, action.version, action.next_version) == ("1.0.3 was not finished", "", "1.0.3")
        world.inputs["web"] = {"var:nginx.port": "1"}
        assert only(world.plan(image())).next_version == "1.0.4", "a number belongs to its inputs"

    def test_the_only_version_was_revoked(self, world: FakeInputs) -> None:
        world.latest["web"] = world.bake(image(), state="revoked", reason="CVE-2026-1234")
        del world.records["web"]
        action = only(world.plan(image()))
        reason = "paused: 1.0.3 was made from these inputs, and revoked: CVE-2026-1234"
        assert (action.kind, action.reason) == ("pause", reason)
        action = only(world.plan(image(), rebuilds=["web"]))
        assert (action.kind, action.reason) == ("bake", "1.0.3 was revoked: CVE-2026-1234")
        assert action.next_version == "1.0.4"
        world.latest["web"] = replace(world.latest["web"], baked="2026-01-01T00:00:00+00:00")
        action = only(world.plan(image(rebuild_after_days=1)))
        assert action.kind == "bake", "packages may be newer than in the revoked version"

    def test_the_newest_version_was_revoked(self, world: FakeInputs) -> None:
        """The older one differs, which is no reason that helps."""
        world.bake(image())
        world.inputs["web"] = {"var:nginx.port": "1"}
        older = world.records["web"]
        world.latest["web"] = world.bake(image(), state="revoked", reason="CVE-2026-1234", version="1.0.4")
        world.records["web"] = older
        action = only(world.plan(image()))
        reason = "paused: 1.0.4 was made from these inputs, and revoked: CVE-2026-1234"
        assert (action.kind, action.reason, action.version) == ("pause", reason, "1.0.3")
        world.inputs["web"] = {"var:nginx.port": "2"}
        assert only(world.plan(image())).reason == "var:nginx.port: 8080 -> 2", "these inputs were not revoked"


class TestPublication:
    def test_a_bake_moves_the_channel(self, world: FakeInputs) -> None:
        found = image(channel="stable", targets=["local"])
        world.bake(found)
        world.point("1.0.2")
        world.inputs["web"] = {"var:nginx.port": "1"}
        action = only(world.plan(found))
        assert (action.targets, action.move) == (("local",), plan.ChannelMove("stable", "1.0.2", "1.0.4"))

    def test_a_new_channel(self, world: FakeInputs) -> None:
        assert only(world.plan(image(channel="stable"))).move == plan.ChannelMove("stable", "", "1.0.0")

    def test_a_publication_moves_a_channel_that_is_elsewhere(self, world: FakeInputs) -> None:
        """As after a rollback."""
        found = image(channel="stable")
        world.bake(found, publications=())
        world.point("1.0.2")
        assert only(world.plan(found)).move == plan.ChannelMove("stable", "1.0.2", "1.0.3")
        world.point("1.0.3")
        action = only(world.plan(found))
        assert (action.kind, action.targets, action.move) == ("publish", ("local",), None)

    def test_a_channel_that_is_behind(self, world: FakeInputs) -> None:
        """As after a promotion that failed, or when a definition gets its channel later."""
        found = image(channel="stable")
        world.bake(found)
        action = only(world.plan(found))
        assert (action.kind, action.reason) == ("promote", "stable points at no version yet")
        assert action.move == plan.ChannelMove("stable", "", "1.0.3")
        world.point("1.0.2")
        assert only(world.plan(found)).reason == "stable points at 1.0.2"
        assert world.plan(found).pending
        world.point("1.0.3")
        assert only(world.plan(found)).kind == "keep"

    def test_a_channel_that_is_ahead(self, world: FakeInputs) -> None:
        """Another release line may share it."""
        found = image(channel="stable")
        world.bake(found)
        world.point("1.1.0")
        assert only(world.plan(found)).kind == "keep"
        world.inputs["web"] = {"var:nginx.port": "1"}
        action = only(world.plan(found))
        assert (action.kind, action.move) == ("bake", None)

    def test_a_channel_that_a_person_holds(self, world: FakeInputs) -> None:
        found = image(channel="stable")
        world.bake(found)
        world.point("1.0.2", held=True, reason="1.0.3 leaks")
        action = only(world.plan(found))
        hold = "stable is held at 1.0.2 since 2026-01-31 12:00 by ada: 1.0.3 leaks"
        assert (action.kind, action.hold, action.move) == ("keep", hold, None)
        world.inputs["web"] = {"var:nginx.port": "1"}
        action = only(world.plan(found))
        assert (action.kind, action.hold, action.move) == ("bake", hold, None)

    def test_a_move_that_was_interrupted(self, world: FakeInputs) -> None:
        found = image(channel="stable")
        world.bake(found)
        world.point("1.0.3")
        at = "2026-01-31T12:00:00+00:00"
        parts: Any = ("web", "x86_64", "stable", 0, "begun", 1, "1.0.3", "1.0.2", (), at, "ada", "", "ada", at)
        world.moves["web"] = Move(*parts)
        action = only(world.plan(found))
        assert (action.kind, action.reason) == ("promote", f"a move of stable to 1.0.2 was interrupted, {at}")
        assert action.move is None, "the run ends it, and moves the channel to the newest version again"
        world.moves["web"] = replace(world.moves["web"], held=True)
        assert only(world.plan(found)).move == plan.ChannelMove("stable", "1.0.3", "1.0.2")
        world.moves["web"] = replace(world.moves["web"], entry=0)  # it is written that the channel points at 1.0.3
        assert only(world.plan(found)).move is None

    def test_nothing_is_published_that_is_kept_or_waits(self, world: FakeInputs) -> None:
        base, web = image("base"), image("web", "base")
        world.bake(base)
        world.bake(web)
        assert [(action.targets, action.move) for action in world.plan(web, base).actions] == [((), None), ((), None)]
        world.inputs["base"] = {"tool:packer": "2"}
        (_, waiting) = world.plan(web, base).actions
        assert (waiting.kind, waiting.version, waiting.targets, waiting.move) == ("wait", "1.0.3", (), None)


class TestLineage:
    def test_child_waits_for_a_parent_that_is_baked(self, world: FakeInputs) -> None:
        base, web, shop = image("base"), image("web", "base"), image("shop", "web")
        for found in (base, web, shop):
            world.bake(found)
        world.inputs["base"] = {"tool:packer": "2"}
        planned = world.plan(shop, web, base)
        assert [(action.image, action.kind, action.reason) for action in planned.actions] == [
            ("base", "bake", "tool:packer added"),
            ("web", "wait", "waits for base"),
            ("shop", "wait", "waits for web"),
        ]
        assert planned.pending == planned.actions

    def test_child_follows_a_parent_with_other_content(self, world: FakeInputs) -> None:
        base, web = image("base"), image("web", "base")
        world.bake(base)
        world.bake(web)
        world.bake(base, raw_sha256="other content", version="1.0.4")
        kept, action = world.plan(web, base).actions
        assert (kept.kind, action.kind) == ("keep", "bake")
        assert action.reason == "base: content of base -> other content"

    def test_child_is_left_alone_if_the_parent_came_out_the_same(self, world: FakeInputs) -> None:
        base, web = image("base"), image("web", "base")
        world.bake(base)
        world.bake(web)
        world.inputs["base"] = {"tool:packer": "2"}
        world.bake(base, sha256="another file", version="1.0.4")
        assert [action.kind for action in world.plan(web, base).actions] == ["keep", "keep"]

    def test_child_is_left_alone_if_the_parent_has_equal_files_on_another_disk(self, world: FakeInputs) -> None:
        base, web = image("base"), image("web", "base")
        parent = world.bake(base, content_digest="files")
        child = world.bake(web, base=Base("base", parent.version, parent.sha256))
        assert child.inputs["base"] == "files"
        world.bake(base, raw_sha256="other bytes", content_digest="files", version="1.0.4")
        _, action = world.plan(web, base).actions
        assert (action.kind, action.reason) == (
            "keep",
            "inputs unchanged; not refreshed; base was rebuilt as 1.0.4 with the content of 1.0.3",
        )
        world.bake(base, raw_sha256="other bytes", content_digest="other files", version="1.0.5")
        _, action = world.plan(web, base).actions
        assert (action.kind, action.reason) == ("bake", "base: files -> other files")

    def test_child_of_an_older_release_stays_valid_when_its_parents_content_becomes_known(
        self, world: FakeInputs
    ) -> None:
        base, web = image("base"), image("web", "base")
        parent = world.bake(base)
        child = world.bake(web, base=Base("base", parent.version, parent.sha256))
        assert child.inputs["base"] == parent.raw_sha256
        world.records["base"] = replace(parent, revision=2, content_digest="files")
        _, action = world.plan(web, base).actions
        assert (action.kind, action.reason) == ("keep", "inputs unchanged; not refreshed")
        world.inputs["web"] = {"var:nginx.port": "9090"}
        _, action = world.plan(web, base).actions
        assert (action.kind, action.reason) == ("bake", "var:nginx.port: 8080 -> 9090")

    def test_child_of_an_older_release_is_due_with_its_parents_next_version(self, world: FakeInputs) -> None:
        """Nobody knows the content of the disk that it was built on."""
        base, web = image("base"), image("web", "base")
        world.bake(base)
        world.bake(web)
        world.bake(base, raw_sha256="other bytes", content_digest="files", version="1.0.4")
        _, action = world.plan(web, base).actions
        assert (action.kind, action.reason) == ("bake", "base: content of base -> files")

    def test_a_new_child_counts_the_content_of_its_parent(self, world: FakeInputs) -> None:
        base, web = image("base"), image("web", "base")
        world.bake(base, content_digest="files")
        _, action = world.plan(web, base).actions
        assert action.inputs["base"] == "files"

    def test_child_waits_for_a_parent_that_is_only_published(self, world: FakeInputs) -> None:
        base, web = image("base"), image("web", "base")
        world.bake(base, publications=())
        # It may be the local target, where the child finds its base disk, that the parent is missing from.
        assert [action.kind for action in world.plan(web, base).actions] == ["publish", "wait"]

    def test_parents_come_first_in_any_order(self, world: FakeInputs) -> None:
        images = [image("aa", "bb"), image("bb", "cc"), image("cc"), image("dd", "cc")]
        for order in (images, images[::-1]):
            names = [action.image for action in world.plan(*order).actions]
            assert names.index("cc") < names.index("bb") < names.index("aa")
            assert names.index("cc") < names.index("dd")


class TestPurity:
    def test_same_answer_and_nothing_changed(self, world: FakeInputs) -> None:
        images = [image("web", "base"), image("base"), image("new")]
        world.bake(images[1])
        world.bake(images[0], publications=())
        before = copy.deepcopy((images, world.records, world.inputs))
        assert world.plan(*images) == world.plan(*images)
        assert (images, world.records, world.inputs) == before

    def test_each_image_is_looked_up_once(self, world: FakeInputs) -> None:
        world.plan(image("web", "base"), image("base"), image("shop", "base"))
        assert sorted(world.asked) == ["base", "shop", "web"]

    def test_clock_is_given(self, world: FakeInputs) -> None:
        old = image(rebuild_after_days=1)
        world.bake(old)
        assert only(world.plan(old, now=NOW)).kind == "keep"
        assert only(world.plan(old, now=NOW + timedelta(days=9))).kind == "bake"


def test_plan_is_a_document(world: FakeInputs) -> None:
    planned = world.plan(image("web", "base"), image("base"))
    data = json.loads(documents.dump(planned))
    assert data["schema"] == "bakery/plan/2"
    assert [action["kind"] for action in data["actions"]] == ["bake", "wait"]


def test_nothing_to_plan(world: FakeInputs) -> None:
    assert world.plan().actions == ()
