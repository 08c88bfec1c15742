"""Finds who uses the images of a version: machines, launch templates, parameters, and states of Terraform."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from bakery.catalog import Record
from bakery.clouds import CLOUDS
from bakery.clouds.target import Use
from bakery.engine.pointers import Targets
from bakery.engine.session import Session
from bakery.host.errors import BakeryError, UsageError, describe_error
from bakery.host.events import Event


def find_uses(targets: Targets, record: Record) -> tuple[tuple[Use, ...], str]:
    """The users of a version's images at the targets, and the reason why some are unknown; empty if none is."""
    uses: list[Use] = []
    failures: list[str] = []
    for publication in record.publications:
        target = targets.get(publication.target)
        if target is None:
            failures.append(f"{publication.target}: it is no target of a definition any more")
            continue
        try:
            uses += target.find_uses(publication)
        except BakeryError as error:
            failures.append(f"{publication.target}: {describe_error(error)}")
    return tuple(uses), "; ".join(failures)


def report_unseen(session: Session, records: Iterable[Record]) -> None:
    """Say once for each target of an image which users of its versions nobody can see there."""
    names = {(record.image, publication.target) for record in records for publication in record.publications}
    for image, target in sorted(names):
        cloud = CLOUDS.get(target)  # None for one that only a newer release knows
        if cloud and cloud.unseen_users:
            session.report(Event("note", "retire", image, f"{target} does not show {cloud.unseen_users}"))


def describe_use(use: Use) -> str:
    """A use in a message."""
    if use.kind == "launch":
        return f"started on {use.at[:10]} in {use.location}"
    return f"{use.kind} {use.name} in {use.location}"


def read_states(paths: Iterable[Path]) -> dict[Path, str]:
    """The texts of states of Terraform in small letters, by file; UsageError for a file that is none."""
    return {path: _read_state(path).casefold() for path in paths}


def _read_state(path: Path) -> str:
    hint = "write it with 'terraform state pull > FILE'"
    try:
        text = path.read_text(encoding="utf-8")
        state = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError("not a state of Terraform", where=str(path), detail=str(error), hint=hint) from error
    if not isinstance(state, Mapping) or "terraform_version" not in state:
        raise UsageError("not a state of Terraform", where=str(path), hint=hint)
    return text
