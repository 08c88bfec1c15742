"""A version that must not be used any more."""

from dataclasses import replace

import pytest

from bakery.model.version import ImageVersion
from unit.bakery.cli.cli_runner import CliRunner


@pytest.fixture
def two(bakery: CliRunner) -> CliRunner:
    """Two versions of `web`, of which `stable` points at the second."""
    bakery.line()
    bakery.edit("web", "hello", "goodbye")
    bakery.line()
    return bakery


def test_a_version_is_revoked_for_good(two: CliRunner) -> None:
    answer = two("revoke", "web", "1.0.0", "--reason", "CVE-2026-1234")
    assert (answer.code, answer.out, answer.err) == (0, "web 1.0.0 is revoked: CVE-2026-1234\n", "")
    assert two.states("web") == {"1.0.0": "revoked", "1.0.1": "complete"}
    assert [line.split()[2] for line in two("catalog", "web").out.splitlines()[-2:]] == ["revoked", "complete"]
    answer = two("promote", "web", "1.0.0", "stable")
    assert answer.code == 1
    assert "error: web 1.0.0 is revoked: only a complete version can be promoted\n  CVE-2026-1234\n" in answer.err
    assert "never pointed at a version before 1.0.1 that is still complete" in two("rollback", "web", "stable").err


def test_what_a_channel_points_at_is_moved_first(two: CliRunner) -> None:
    answer = two("revoke", "web", "1.0.1", "--reason", "leaks")
    assert answer.code == 1
    assert "web 1.0.1 cannot be revoked: stable points at it\nhint: move the channel: 'bakery roll" in answer.err
    assert two("rollback", "web", "stable").code == 0
    assert two("revoke", "web", "1.0.1", "--reason", "leaks").code == 0


def test_a_revoked_version_is_never_published_again(two: CliRunner) -> None:
    """Its disk is still here."""
    two("rollback", "web", "stable")
    two("revoke", "web", "1.0.1", "--reason", "leaks")
    two.did.clear()
    answer = two("publish", "web")
    assert (answer.code, two.did) == (1, [])
    assert "error: web 1.0.1 was revoked: leaks\n" in answer.err
    two.edit("web", "goodbye", "hello again")
    assert [(record.version, record.state) for record in two.line("web")] == [("1.0.2", "complete")]
    assert two.states("web")["1.0.1"] == "revoked"


def test_what_was_built_on_it_is_named(bakery: CliRunner) -> None:
    bakery.line()
    answer = bakery("revoke", "base", "1.0.0", "--reason", "leaks")
    assert answer.out.splitlines()[1:] == ["built on it, and not revoked: web 1.0.0"]
    bakery.write("packer/base/debian/network.yaml", "# mended\n")
    assert [(record.image, record.version) for record in bakery.line()] == [("base", "1.0.1"), ("web", "1.0.1")]


def test_a_reason_is_needed(two: CliRunner) -> None:
    assert two("revoke", "web", "1.0.0").code == 64
    assert two("revoke", "web", "1.0.0", "--reason", " ").code == 64
    assert two.states("web")["1.0.0"] == "complete"


def test_an_image_whose_definition_is_gone(two: CliRunner) -> None:
    (two.project.definitions / "web.yaml").unlink()
    assert two("revoke", "web", "1.0.0", "--reason", "leaks").code == 0


def test_a_version_that_is_not_there(two: CliRunner) -> None:
    answer = two("revoke", "web", "1.0.7", "--reason", "leaks")
    assert answer.code == 1
    assert "error: web 1.0.7 (x86_64) is not in the catalog\nhint: newest versions: 1.0.0, 1.0.1\n" in answer.err


def test_a_version_that_another_run_has_reserved_is_not_published(bakery: CliRunner) -> None:
    """Its reservation expired during the bake, and the other run took it over."""
    assert bakery("bake", "base").code == 0
    assert bakery("verify", "base").code == 0
    catalog = bakery.catalog
    record = catalog.record(ImageVersion("base", "x86_64", "1.0.0"))
    catalog.revise(replace(record, owner="another machine"))
    bakery.did.clear()
    answer = bakery("publish", "base")
    assert (answer.code, bakery.did) == (1, [])
    assert f"error: {catalog.location}: base 1.0.0 is reserved by another machine until {record.expires}" in answer.err
