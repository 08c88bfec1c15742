"""The blocks that a statement names: those that the bake noted, and no other list."""

from dataclasses import replace

import pytest

from bakery.engine.provenance import keep_provenance
from bakery.host.errors import BakeryError
from bakery.machine.block_list import FILE, BlockList
from bakery.model.baked import Baked
from bakery.model.documents import Artifact, ImageLocation, Publication
from bakery.provenance import find_disk, read_payload
from unit.bakery.cli.cli_runner import CliRunner

BLOCKS = BlockList({3: "3" * 64})


def keep(bakery: CliRunner, artifact: Artifact, content: bytes) -> bytes:
    """The envelope about a version whose list of blocks has this content in its folder."""
    session, location = bakery.session(), ImageLocation("1", "here", "ami-1", "snap-1")
    artifact = replace(artifact, disk=replace(artifact.disk, blocks=BLOCKS.sha256))
    folder = session.project.artifact_folder(artifact)
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(content)  # no disk is there to be read
    reserved = session.catalog.reserve("web", "x86_64", "1.0", "k", {}, "me", "bake-private")
    publication = Publication("web", "x86_64", "1.0.0", artifact.disk.sha256, "aws", (location,))
    complete = replace(reserved, state="complete", publications=(publication,))
    version = Baked(session.definitions.images["web"], "1.0.0", artifact, {})
    digest = keep_provenance(session, version, [None], reserved, complete)
    envelope = session.catalog.provenance(replace(complete, provenance=digest))
    assert envelope and session.catalog.block_list(complete, BLOCKS.sha256) == content
    statement = read_payload(envelope, "test")
    disk = find_disk(statement, "aws", location)
    assert disk and (disk.blocks, disk.sha256) == (BLOCKS.sha256, artifact.disk.raw_sha256)
    return envelope


def test_the_list_of_the_bake_is_kept_without_a_look_at_the_disk(bakery: CliRunner, artifact: Artifact) -> None:
    assert keep(bakery, artifact, BLOCKS.dump())


@pytest.mark.parametrize("content", [b"", BlockList({4: "4" * 64}).dump()], ids=["missing", "another one"])
def test_another_list_is_refused(bakery: CliRunner, artifact: Artifact, content: bytes) -> None:
    with pytest.raises(BakeryError, match="is missing or was changed"):
        keep(bakery, artifact, content)
