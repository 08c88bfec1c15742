"""Only `clouds/` names a cloud: everything else asks CLOUDS, so that a new one is a folder and a line."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.clouds import CLOUDS

BAKERY = Path(__file__).parents[2] / "scripts" / "bakery"

# The clouds themselves and the words that belong to one of them.
NAMES = {name for name in CLOUDS if name != "local"} | {"gcp", "google", "vcenter", "govc", "amazon", "azurerm"}
SERVICES = {"ami", "amis", "ebs", "ec2", "iam", "sts", "ssm"}
# An underscore ends a word, a letter does not: AWS_REGION and aws_client name a cloud, `kilobytes` does not.
WORD = re.compile(rf"(?<![a-z])({'|'.join(sorted(NAMES | SERVICES))})(?![a-z])", re.IGNORECASE)

# Modules that have to name one, by the beginning of their path.
EXCEPTIONS = {
    "catalog/store.py": "a catalog may be in S3, whatever cloud images go to",
    "cli/demo.py": "shows what the demo published to its stand-in of AWS",
    "cli/vault.py": "hands AWS credentials to Terraform, whose state is in S3",
    "demo/": "its stand-in is AWS",
    "host/aws_variables.py": "the catalog and the cloud read the same variables",
    "host/vault": "explains Vault's own names of its engines by an example",
    "infra/env.py": "variables that Terraform's providers read",
    "infra/explain.py": "words of Terraform's providers",
    "infra/mirror.py": "the Terraform provider without which no stack can be checked",
    "verify/rules/": "files that agents and tools of clouds leave on a disk, and who publishes rules",
    "model/documents.py": "says what a location and a pointer are in each cloud",
}


def modules() -> dict[str, str]:
    """The text of every module outside of clouds/, by its path."""
    paths = (path for path in BAKERY.rglob("*.py") if BAKERY / "clouds" not in path.parents)
    return {path.relative_to(BAKERY).as_posix(): path.read_text() for path in paths}


def words(text: str) -> Iterator[tuple[int, str]]:
    """(line, word) of every identifier and text that names a cloud; comments may."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        if kind in ("NAME", "STRING", "FSTRING_MIDDLE"):
            yield from ((token.start[0], word[0]) for word in WORD.finditer(token.string))


def test_no_other_module_names_a_cloud() -> None:
    named = [
        f"{path}:{line}: {word}"
        for path, text in sorted(modules().items())
        if not path.startswith(tuple(EXCEPTIONS))
        for line, word in words(text)
    ]
    assert named == []


@pytest.mark.parametrize("beginning", EXCEPTIONS)
def test_every_exception_is_needed(beginning: str) -> None:
    assert any(path.startswith(beginning) and any(words(text)) for path, text in modules().items())


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("aws = 1", 1),
        ("import bakery.clouds.azure", 1),
        ('f"the {x} of vCenter"', 1),
        ('"""An AMI."""', 1),
        ("AWS_REGION = aws_region", 2),
        ("families = 1  # AWS", 0),
        ("laws = 'streams'", 0),
    ],
)
def test_the_rule_sees_what_it_looks_for(text: str, count: int) -> None:
    assert len(list(words(text))) == count
