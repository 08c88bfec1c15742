"""A disk that is baked again from the same inputs is compared with the one before."""

from datetime import UTC, datetime, timedelta

import pytest

from unit.bakery.cli.cli_runner import CliRunner

ENTRIES = {"/etc/issue": "11111111", "/etc/passwd": "22222222"}


@pytest.fixture
def baked(bakery: CliRunner) -> CliRunner:
    """A first version of base, whose content is known; the disk of the next one is newer."""
    bake_first(bakery, ENTRIES)
    return bakery


def bake_first(bakery: CliRunner, entries: dict[str, str]) -> None:
    bakery.packages["base"] = {"openssl": "3.0.17-1"}
    bakery.entries["base"] = entries
    bakery.archives_at = "2026-01-31T12:00:00+00:00"
    (record,) = bakery.line("base")
    assert bool(record.content_digest) is bool(entries)
    bakery.baked_at = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    bakery.content["base"] = "other bytes"


@pytest.mark.parametrize("verb", ["run", "bake"])
def test_equal_content_is_said(baked: CliRunner, verb: str) -> None:
    options = ("--rebuild",) if verb == "run" else ("--baked-before", datetime.now(UTC).isoformat())
    answer = baked(verb, *options, "base")
    assert answer.code == 0, answer.err
    assert "same content as 1.0.0, baked from the same inputs" in answer.err


def test_other_content_is_said_loudly_with_all_paths(baked: CliRunner) -> None:
    extra = {f"/srv/{number:02}": "33333333" for number in range(12)}
    baked.entries["base"] = {"/etc/issue": "99999999", **extra}
    answer = baked("run", "--rebuild", "base")
    assert answer.code == 0, answer.err
    paths = ["/etc/issue", "/etc/passwd", *extra]
    (line,) = [line for line in answer.err.splitlines() if "OTHER CONTENT than 1.0.0" in line]
    assert line.startswith("FAILED")
    assert f"14 paths: {', '.join(paths[:10])} and 4 more" in line
    listing = baked.project.logs / "base-1.0.1-differences.txt"
    assert listing.read_text().splitlines() == paths
    assert str(listing) in line


@pytest.mark.parametrize("verb", ["run", "bake"])
def test_other_content_fails_if_that_is_asked_for(baked: CliRunner, verb: str) -> None:
    baked.entries["base"] = {"/etc/issue": "99999999"}
    options = ("--rebuild",) if verb == "run" else ("--baked-before", datetime.now(UTC).isoformat())
    answer = baked(verb, *options, "--fail-on", "difference", "base")
    assert answer.code == 1, answer.err
    listing = baked.project.logs / "base-1.0.1-differences.txt"
    assert f"{listing}: base 1.0.1 has other content than 1.0.0" in answer.err
    assert baked.did[-1] == "bake base"
    assert baked.session().catalog.failures_since("base", "x86_64", None) == ()


@pytest.mark.parametrize("verb", ["run", "bake"])
def test_equal_content_does_not_fail(baked: CliRunner, verb: str) -> None:
    options = ("--rebuild",) if verb == "run" else ("--baked-before", datetime.now(UTC).isoformat())
    answer = baked(verb, *options, "--fail-on", "difference", "base")
    assert answer.code == 0, answer.err
    assert "same content as 1.0.0" in answer.err


def test_the_hint_of_other_content_works(baked: CliRunner) -> None:
    baked.entries["base"] = {"/etc/issue": "99999999"}
    assert baked("run", "--rebuild", "--fail-on", "difference", "base").code == 1
    answer = baked("run", "--rebuild", "base")
    assert (answer.code, baked.did[-1]) == (0, "publish base"), answer.err


def test_a_private_file_is_not_named(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes are in the content digest and not in the list."""
    monkeypatch.setattr("unit.bakery.cli.cli_runner.repr", lambda _: "other", raising=False)
    answer = baked("run", "--rebuild", "base")
    assert "1 path: files that not everybody may read" in answer.err


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("archives", "the package archives changed since 1.0.0"),
        ("unknown archives", "nobody knows whether the package archives changed"),
        ("inputs", "the inputs changed since 1.0.0"),
        ("no digest now", "one of the disks has no content digest"),
        ("no digest before", "one of the disks has no content digest"),
    ],
)
@pytest.mark.parametrize("asked", [False, True])
def test_disks_that_cannot_be_compared(bakery: CliRunner, change: str, reason: str, asked: bool) -> None:
    """Only who asks for a comparison learns that there was none."""
    bake_first(bakery, {} if change == "no digest before" else ENTRIES)
    if change == "archives":
        bakery.archives_at = "2026-02-01T12:00:00+00:00"
    elif change == "unknown archives":
        bakery.archives_at = None
    elif change == "inputs":
        bakery.write("packer/base/debian/network.yaml", "# changed\n")
    else:
        bakery.entries["base"] = {} if change == "no digest now" else ENTRIES
    answer = bakery("run", "--rebuild", *(["--fail-on", "difference"] if asked else []), "base")
    assert answer.code == 0, answer.err
    assert bakery.states("base") == {"1.0.0": "complete", "1.0.1": "complete"}
    assert (f"not compared with an earlier version: {reason}" in answer.err) is asked
    assert asked or "content" not in answer.err.replace("contents", "")
