"""A version is brought to new places and taken back from old ones, and its channels are never split on the way."""

from collections.abc import Collection
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest

from bakery.clouds import CLOUDS
from bakery.host.errors import BakeryError
from bakery.model.documents import ImageLocation, Location, Publication
from bakery.model.tags import Tags
from bakery.model.version import ImageVersion
from doubles.channels import DictTarget
from unit.bakery.cli.cli_runner import CliRunner

CONSUMER = "222222222222"
OWN = "111111111111"


class Cloud(DictTarget):
    """Images in the regions and accounts of a definition; `shares` are the accounts that may use them, by region."""

    def __init__(self) -> None:
        super().__init__([])
        self.regions: list[str] = []
        self.accounts: list[str] = []
        self.shares: set[Location] = set()
        self.steps: list[str] = []
        self.broken = False
        self.key_alias = ""

    def of(self, regions: list[str], accounts: list[str]) -> "Cloud":
        self.regions, self.accounts = regions, accounts
        self.wanted = [Location(account, region) for account in (OWN, *accounts) for region in regions]
        return self

    def publish(self, artifact: Any, disk: Any, report: Any, earlier: Any = None) -> Publication:
        return self._publication(artifact, artifact.disk.sha256, self.key_alias)

    def distribute(self, publication: Publication, expected: Tags, report: Any) -> Publication:
        if self.broken:
            raise BakeryError("the cloud is out of order")
        self.steps.append(f"distribute {expected['Name']}")
        return self._publication(publication, publication.sha256, publication.locations[0].key_alias)

    def withdraw(self, publication: Publication, locations: Collection[ImageLocation], report: Any) -> None:
        assert not {location.location for location in locations} & {place for _, place in self.pointers}
        self.steps.append("withdraw")
        self.shares -= {location.location for location in locations}

    def _publication(self, of: Any, sha256: str, key_alias: str | None) -> Publication:
        self.shares |= {location for location in self.wanted if location.account != OWN}
        locations = tuple(
            ImageLocation(*place, f"ami-{place.region}-{of.version}", owned=place.account == OWN, key_alias=key_alias)
            for place in self.wanted
        )
        return Publication(of.image, of.arch, of.version, sha256, "aws", locations)


@pytest.fixture
def cloud(bakery: CliRunner, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Web is at AWS in two regions and one more account, and its channel points at it there."""
    cloud = Cloud()

    def open_target(_project: Any, definition: Any, _credentials: Any) -> Cloud:
        aws = definition.distribution.by_target["aws"]
        return cloud.of(list(aws.regions), list(aws.accounts))

    monkeypatch.setitem(CLOUDS, "aws", replace(CLOUDS["aws"], open_target=open_target, try_login=lambda *_: None))
    bakery.edit("web", "targets: [local]", f"targets: [local, aws]\n{_settings(['eu-west-1', 'us-east-1'])}")
    bakery.line()
    assert len(cloud.pointers) == 4
    return cloud


def _settings(regions: list[str], accounts: tuple[str, ...] = (CONSUMER,)) -> str:
    quoted = ", ".join(f'"{account}"' for account in accounts)
    return f"distribution: {{aws: {{regions: [{', '.join(regions)}], accounts: [{quoted}]}}}}"


def _publication(bakery: CliRunner) -> Publication:
    record = bakery.catalog.newest("web", "x86_64")
    assert record
    publication = record.publication("aws")
    assert publication
    return publication


class Terminal(StringIO):
    """Somebody who answers."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("verb", ["run", "publish"])
def test_a_person_is_asked_before_a_place_is_left(
    bakery: CliRunner, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    bakery.edit("web", "eu-west-1, us-east-1", "us-east-1")
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    answer = bakery(verb, "web")
    assert answer.code == 64
    places = f"{OWN}/eu-west-1, {CONSUMER}/eu-west-1"
    assert f"remove pointers and shares of web in {places}? [y/N]" in answer.err
    assert (len(cloud.pointers), cloud.steps) == (4, [])
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert bakery(verb, "web").code == 0
    assert len(cloud.pointers) == 2
    monkeypatch.setattr("sys.stdin", Terminal(""))
    assert bakery(verb, "web").code == 0  # nothing is left, so nothing is asked


def test_a_pipeline_and_yes_are_the_answer(bakery: CliRunner, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    bakery.edit("web", "eu-west-1, us-east-1", "us-east-1")
    monkeypatch.setattr("sys.stdin", Terminal(""))
    assert bakery("run", "web", "--yes").code == 0
    assert len(cloud.pointers) == 2
    monkeypatch.setattr("sys.stdin", StringIO(""))
    bakery.edit("web", f'accounts: ["{CONSUMER}"]', "accounts: []")
    assert bakery("run", "web").code == 0
    assert len(cloud.pointers) == 1


def test_a_region_that_is_added(bakery: CliRunner, cloud: Cloud) -> None:
    """It needs no disk in the workspace, and the channel goes there as well."""
    (bakery.folder("web", "1.0.0") / "artifact.json").unlink()
    bakery.edit("web", "us-east-1]", "us-east-1, eu-north-1]")
    assert "not yet in eu-north-1" in bakery("plan").out
    assert bakery("run", "web").code == 0
    assert len(_publication(bakery).locations) == 6
    assert len(cloud.pointers) == 6
    assert "keep" in bakery("plan", "web").out


def test_an_account_that_is_removed(bakery: CliRunner, cloud: Cloud) -> None:
    """Its pointers go before its shares."""
    bakery.edit("web", f'"{CONSUMER}"', "")
    assert f"still in {CONSUMER}/eu-west-1, {CONSUMER}/us-east-1" in " ".join(bakery("plan").out.split())
    answer = bakery("run", "web")
    assert answer.code == 0
    assert f"stable leaves aws {CONSUMER}/eu-west-1, aws {CONSUMER}/us-east-1" in answer.err
    assert {place.account for _, place in cloud.pointers} == {OWN}
    assert cloud.shares == set()
    publication = _publication(bakery)
    assert ({image.account for image in publication.locations}, len(publication.withdrawn)) == ({OWN}, 2)
    assert cloud.steps == ["distribute web-1.0.0-x86_64", "withdraw"]
    assert "keep" in bakery("plan", "web").out


def test_an_account_that_comes_back(bakery: CliRunner, cloud: Cloud) -> None:
    bakery.edit("web", f'"{CONSUMER}"', "")
    assert bakery("run", "web").code == 0
    bakery.edit("web", "accounts: []", f'accounts: ["{CONSUMER}"]')
    assert bakery("run", "web").code == 0
    publication = _publication(bakery)
    assert (len(publication.locations), publication.withdrawn) == (4, ())
    assert len(cloud.shares) == 2


def test_a_channel_that_stays_behind(bakery: CliRunner, cloud: Cloud) -> None:
    """Its readers keep their shares until somebody moves it."""
    assert bakery("promote", "web", "1.0.0", "slow", "--new").code == 0
    bakery.edit("web", f'"{CONSUMER}"', "")
    answer = bakery("run", "web")
    assert answer.code == 1
    assert "channel slow of web still points at 1.0.0" in answer.err
    assert len(cloud.shares) == 2
    assert bakery("promote", "web", "1.0.0", "slow").code == 0
    assert bakery("run", "web").code == 0
    assert cloud.shares == set()


def test_a_version_that_lacks_a_place_is_brought_there(bakery: CliRunner, cloud: Cloud) -> None:
    """As its refusal says."""
    bakery.edit("web", "us-east-1]", "us-east-1, eu-north-1]")
    bakery.edit("web", "hello", "goodbye")
    assert bakery("run", "web").code == 0
    answer = bakery("rollback", "web", "stable")
    assert answer.code == 1
    assert f"web 1.0.0 is not in aws {OWN}/eu-north-1" in answer.err
    assert "'bakery distribute web 1.0.0'" in answer.err
    assert bakery("distribute", "web", "1.0.0").code == 0
    assert bakery("rollback", "web", "stable").code == 0
    assert set(cloud.pointers.values()) == {
        f"ami-{region}-1.0.0" for region in ("eu-west-1", "us-east-1", "eu-north-1")
    }


def test_nothing_is_recorded_that_failed(bakery: CliRunner, cloud: Cloud) -> None:
    before = _publication(bakery)
    bakery.edit("web", "us-east-1]", "us-east-1, eu-north-1]")
    cloud.broken = True
    answer = bakery("run", "web")
    assert answer.code == 4
    assert "publishing failed at aws, succeeded at local" in answer.err
    assert _publication(bakery) == before


def test_another_key_is_never_recorded_for_images_that_lack_it(bakery: CliRunner, cloud: Cloud) -> None:
    """They keep their key, and can be repaired; a run bakes a version with the new one."""
    before = _publication(bakery)
    bakery.edit("web", "regions: [eu-west-1", "kms_alias: bakery, regions: [eu-west-1")
    answer = bakery("publish", "web")
    assert answer.code == 1
    assert "encryption at aws changed: none -> alias/bakery, and images keep theirs" in answer.err
    assert "'bakery run web'" in answer.err
    assert bakery("distribute", "web", "1.0.0").code == 0
    assert _publication(bakery) == before
    assert "encryption at aws changed" in bakery("plan", "web").out


def test_a_version_with_an_older_key_gets_no_new_images(bakery: CliRunner, cloud: Cloud) -> None:
    """It can be repaired, rolled back to and restored where it is; elsewhere, the hint names another version."""
    bakery.edit("web", "eu-west-1, us-east-1", "us-east-1, eu-west-1")
    bakery.edit("web", "regions: [us-east-1", "kms_alias: bakery, regions: [us-east-1")
    cloud.key_alias = "alias/bakery"
    bakery.line()
    assert bakery("rollback", "web", "stable").code == 0
    bakery("promote", "web", "1.0.1", "stable")
    assert bakery("revoke", "web", "1.0.0", "--reason", "leaks", "--yes").code == 0
    assert bakery("restore", "web", "1.0.0", "--reason", "a false alarm").code == 0
    assert not bakery.catalog.record(ImageVersion("web", "x86_64", "1.0.0")).pending
    bakery.edit("web", "us-east-1, eu-west-1", "us-east-1, eu-west-1, us-west-2")
    answer = bakery("distribute", "web", "1.0.0")
    assert answer.code == 1
    assert f"web 1.0.0 cannot be brought to {OWN}/us-west-2, {CONSUMER}/us-west-2" in answer.err
    assert "promote a version with the new key" in answer.err
    bakery("revoke", "web", "1.0.0", "--reason", "leaks", "--yes")
    assert bakery("restore", "web", "1.0.0", "--reason", "a false alarm").code == 1
    assert not bakery.catalog.record(ImageVersion("web", "x86_64", "1.0.0")).pending


def test_a_bake_names_the_places_that_it_leaves(bakery: CliRunner, cloud: Cloud) -> None:
    bakery.edit("web", f'"{CONSUMER}"', "")
    bakery.edit("web", "hello", "goodbye")
    assert f"leaves {CONSUMER}/eu-west-1, {CONSUMER}/us-east-1" in " ".join(bakery("plan", "web").out.split())


@pytest.mark.parametrize("ahead", [False, True])
def test_a_channel_that_stays_leaves_too(bakery: CliRunner, cloud: Cloud, ahead: bool) -> None:
    """A person holds it at an older version, or it is at a newer one of another release line."""
    bakery.edit("web", "hello", "goodbye")
    bakery.line()
    if ahead:
        bakery.edit("web", 'version: "1.0"', 'version: "0.9"')
        bakery.line("web")
    else:
        assert bakery("rollback", "web", "stable").code == 0
    stays = "1.0.1" if ahead else "1.0.0"
    bakery.edit("web", "eu-west-1, us-east-1", "us-east-1")
    plan = bakery("plan", "web")
    assert f"leaves {OWN}/eu-west-1, {CONSUMER}/eu-west-1" in plan.out
    assert bakery("run", "web").code == 0
    assert {place.region for _, place in cloud.pointers} == {"us-east-1"}
    entry = bakery.catalog.channel("web", "x86_64", "stable")
    assert entry
    assert (entry.version, entry.held) == (stays, not ahead)
    record = bakery.catalog.record(ImageVersion("web", "x86_64", stays))
    publication = record.publication("aws")
    assert publication
    assert {location.region for location in publication.locations} == {"us-east-1"}
    assert cloud.shares == {Location(CONSUMER, "us-east-1")}
    assert "keep" in bakery("plan", "web").out


def test_a_revocation_whose_channel_cannot_move_changes_nothing(bakery: CliRunner, cloud: Cloud) -> None:
    """The version before is not in a region that came later. The hint leads on."""
    bakery.edit("web", "eu-west-1, us-east-1", "eu-west-1, us-east-1, us-west-2")
    bakery.edit("web", "hello", "goodbye")
    bakery.line()
    bakery("promote", "web", "1.0.1", "other", "--new")
    revoke = ("revoke", "web", "1.0.1", "--reason", "leaks")
    for option in ("--dry-run", "--yes"):
        answer = bakery(*revoke, option)
        assert answer.code == 1
        assert "web 1.0.1 cannot be revoked: a channel cannot go to an earlier version" in answer.err
        assert "web stable: 1.0.1 -> 1.0.0: web 1.0.0 is not in aws" in answer.err
        assert "'bakery distribute web 1.0.0'" in answer.err
    assert set(bakery.states("web").values()) == {"complete"}
    assert {value.rpartition("-")[2] for value in cloud.pointers.values()} == {"1.0.1"}
    assert bakery("distribute", "web", "1.0.0").code == 0
    assert bakery("channel", "delete", "web", "other", "--yes").code == 0
    assert bakery(*revoke, "--yes").code == 0
    assert {value.rpartition("-")[2] for value in cloud.pointers.values()} == {"1.0.0"}
