"""Look at an image that Packer built at a target: its tests ran before the seal, so only its disk shows the result."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from bakery.clouds import CLOUDS
from bakery.engine.logins import open_vault
from bakery.engine.read_back import ImageReader
from bakery.engine.session import Session
from bakery.host.events import Event
from bakery.host.redaction import Redactor
from bakery.host.secret_search import refuse_secrets
from bakery.machine.block_list import BlockList
from bakery.machine.block_stream import BlockStream, list_blocks, write_raw
from bakery.model.baked import part_folder
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Check, ImageLocation, RemoteBuild, Verdict
from bakery.verify import check_content, expect_content, read_used_secrets

READ_BACK = "disk was read back from its cloud"


def inspect_build(session: Session, definition: ImageDefinition, build: RemoteBuild, verdict: Verdict) -> Verdict:
    """The verdict with the rules and the search for secrets on the disk that the cloud holds.

    The verdict names a cloud whose images the bakery cannot read back. BakeryError if the disk cannot be read, or if a
    document of the build has a secret.
    """
    subject = f"{build.image} {build.version}"
    with open_vault(definition.secrets or build.secrets) as vault:
        where = partial(session.definitions.where, definition.name, "secrets")
        values = read_used_secrets(vault, definition, build, where)
    refuse_secrets(filter(Path.is_file, sorted(part_folder(session.project, build).iterdir())), values)
    if CLOUDS[build.target].open_disk is None:
        reason = f"not read back: the bakery cannot read images of {build.target}"
        session.report(Event("note", "verify", subject, reason))
        return _add_checks(verdict, [Check(READ_BACK, True, reason)], {})
    redact = Redactor(values)
    seconds: dict[str, float] = {}

    def inspect(disk: BlockStream, scratch: Path) -> list[Check]:
        raw = scratch / "disk.raw"
        read = read_back_check(list_blocks(write_raw(disk, raw)))
        checks = check_content(raw, definition, values, seconds)
        return [read, *(replace(check, detail=redact(check.detail)) for check in checks)]

    reader = ImageReader(definition, session.project, "verify", subject, session.report, by_builder=True)
    return _add_checks(verdict, reader.read(build.target, _build_location(definition, build), inspect), seconds)


def expect_inspection(definition: ImageDefinition, build: RemoteBuild) -> list[str]:
    """The names of the checks that `inspect_build` adds to a verdict."""
    return [READ_BACK, *(expect_content(definition) if CLOUDS[build.target].open_disk else ())]


def read_back_check(blocks: BlockList) -> Check:
    """The check that names the blocks that were read."""
    return Check(READ_BACK, True, f"the digest of its blocks is {blocks.sha256}")


def _build_location(definition: ImageDefinition, build: RemoteBuild) -> ImageLocation:
    """The image in the location of the build; its copies elsewhere have the same blocks."""
    home = definition.distribution.by_target[build.target].build_location
    region = home if home in build.ids else next(iter(build.ids))
    return ImageLocation(account="", region=region, id=build.ids[region])


def _add_checks(verdict: Verdict, checks: list[Check], seconds: Mapping[str, float]) -> Verdict:
    joined = (*verdict.checks, *checks)
    return replace(
        verdict,
        passed=all(check.passed for check in joined),
        checks=joined,
        seconds={**verdict.seconds, **seconds},
    )
