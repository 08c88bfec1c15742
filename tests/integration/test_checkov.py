"""Checkov on the stacks of production.yaml: what it finds is accepted in checkov.yaml, with a reason, or fails."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
CHECKOV = ROOT / ".bakery" / "checkov" / "bin" / "checkov"
ACCEPTED = Path(__file__).with_name("checkov.yaml")
# Must be found, or nothing that was not found means anything.
PLANTED = {
    "resource": {
        "aws_ebs_volume": {"plain": {"availability_zone": "eu-west-1a", "size": 8, "encrypted": False}},
    }
}

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Scan:
    """What Checkov said: its counts, and each failed check with STACK/NAME."""

    summary: dict[str, int]
    failed: set[tuple[str, str]]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    subprocess.run([sys.executable, "-m", "tools", "checkov"], cwd=ROOT, check=True)  # under a second when it is there
    folder = tmp_path_factory.mktemp("checkov")
    for name, stack in {**synthesized(folder), "planted": PLANTED}.items():
        place = folder / "scanned" / name
        place.mkdir(parents=True)
        (place / "cdk.tf.json").write_text(json.dumps(stack, indent=2))
    return scanned(folder / "scanned")


def synthesized(folder: Path) -> dict[str, dict[str, Any]]:
    """The stacks by name, without `required_version`: with it Checkov reads nothing and is content (its issue 7454)."""
    chosen = {
        "BAKERY_ENVIRONMENT": "production",
        "BAKERY_CATALOG": str(folder / "catalog"),
        "CDKTF_OUTDIR": str(folder / "cdktf.out"),
    }
    subprocess.run([sys.executable, ROOT / "cdktf" / "main.py"], env={**os.environ, **chosen}, check=True, timeout=120)
    found = {path.parent.name: json.loads(path.read_bytes()) for path in folder.glob("cdktf.out/stacks/*/cdk.tf.json")}
    for stack in found.values():
        assert stack["terraform"].pop("required_version")
    return found


def scanned(folder: Path) -> Scan:
    """Without a download it asks nobody: the rules are those of the package."""
    command: list[str | Path] = [
        CHECKOV,
        "-d",
        folder,
        "--framework",
        "terraform_json",
        "--skip-download",
        "--output",
        "json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr  # it found something, if only what was planted
    report = json.loads(done.stdout)
    return Scan(report["summary"], set(failures(report["results"]["failed_checks"])))


def failures(found: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """By the name alone: before it, Checkov writes a resource's kind or, for some of its checks, `resource`."""
    for one in found:
        stack = one["file_path"].strip("/").partition("/")[0]
        yield one["check_id"], f"{stack}/{one['resource'].rpartition('.')[2]}"


def accepted() -> list[dict[str, str]]:
    entries: list[dict[str, str]] = YAML(typ="safe").load(ACCEPTED)
    return entries


def covers(entry: dict[str, str], check: str, place: str) -> bool:
    return entry["check"] == check and fnmatchcase(place, entry["at"])


def test_it_read_every_stack(scan: Scan) -> None:
    assert scan.summary["parsing_errors"] == 0
    assert scan.summary["passed"] > 30  # of one bucket, its key and a role alone


def test_it_finds_what_was_planted(scan: Scan) -> None:
    assert ("CKV_AWS_3", "planted/plain") in scan.failed


def test_everything_else_that_it_finds_is_accepted(scan: Scan) -> None:
    found = {one for one in scan.failed if not one[1].startswith("planted/")}
    assert {one for one in found if not any(covers(entry, *one) for entry in accepted())} == set()


def test_what_is_accepted_is_still_found_and_has_a_reason(scan: Scan) -> None:
    entries = accepted()
    assert [entry for entry in entries if not any(covers(entry, *one) for one in scan.failed)] == []
    assert all(len(entry["because"].split()) > 4 for entry in entries)
