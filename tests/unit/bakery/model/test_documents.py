import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from bakery.catalog import ChannelEntry
from bakery.host.errors import BakeryError, NotFoundError
from bakery.model import documents
from bakery.model.documents import (
    Artifact,
    Base,
    Check,
    Disk,
    ImageLocation,
    Pointer,
    Publication,
    RemoteBuild,
    Verdict,
)
from bakery.model.vulnerabilities import VulnerabilityReport

ARTIFACT = Artifact(
    image="web",
    arch="x86_64",
    version="1.0.0",
    os="debian-12",
    mode="vm",
    input_key="k" * 64,
    inputs={"var:nginx.port": "8080"},
    base=Base("debian-12", "1.0.0", "b" * 64),
    disk=Disk("disk.qcow2", "qcow2", 4 << 30, "d" * 64, "e" * 64, "f" * 64),
    commit="c" * 40,
    tools={"packer": "1.11.2"},
    seconds={"boot": 12.5},
    created="2026-01-31T12:00:00+00:00",
    log="log",
)
VERDICT = Verdict(
    image="web",
    arch="x86_64",
    version="1.0.0",
    sha256="d" * 64,
    passed=False,
    checks=(Check("boots", True), Check("no host keys", False, "/etc/ssh/ssh_host_rsa_key")),
    accelerator="tcg",
    seconds={},
    created="2026-01-31T12:00:00+00:00",
)
PUBLICATION = Publication(
    image="web",
    arch="x86_64",
    version="1.0.0",
    sha256="d" * 64,
    target="aws",
    locations=(
        ImageLocation("1", "eu-west-1", "ami-1", "snap-1"),
        ImageLocation("2", "eu-west-1", "ami-1", owned=False),
    ),
    pointers=(Pointer("1", "eu-west-1", "/bakery/web", 3, "ami-1"),),
)
ALL: list[Any] = [ARTIFACT, VERDICT, PUBLICATION]


@pytest.mark.parametrize("document", ALL, ids=lambda document: type(document).__name__)
class TestEveryDocument:
    def test_comes_back_equal(self, document: Any, tmp_path: Path) -> None:
        path = tmp_path / "folder" / "document.json"
        documents.save(document, path)
        assert documents.load(type(document), path) == document

    def test_says_its_schema(self, document: Any) -> None:
        kind = type(document).__name__.lower()
        assert json.loads(documents.dump(document))["schema"] in {f"bakery/{kind}/1", "bakery/publication/2"}

    def test_json_schema_takes_what_is_written(self, document: Any) -> None:
        schema = documents.json_schema(type(document))
        assert schema["properties"].keys() == json.loads(documents.dump(document)).keys()
        assert schema["additionalProperties"] is False

    def test_damaged(self, document: Any, tmp_path: Path) -> None:
        path = tmp_path / "document.json"
        path.write_bytes(documents.dump(document)[:-20])
        with pytest.raises(BakeryError, match=r"not a valid .* document: Invalid JSON") as caught:
            documents.load(type(document), path)
        assert caught.value.where == str(path)
        assert "make it again" in caught.value.hint

    def test_missing(self, document: Any, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError, match=f"no {type(document).__name__.lower()} document") as caught:
            documents.load(type(document), tmp_path / "document.json")
        assert caught.value.where == f"{tmp_path}/document.json"

    def test_cannot_be_read(self, document: Any, tmp_path: Path) -> None:
        with pytest.raises(BakeryError, match="cannot be read: Is a directory"):
            documents.load(type(document), tmp_path)

    def test_cannot_be_changed(self, document: Any) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            document.image = "other"


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        ({"schema": "bakery/artifact/2"}, "a.json: schema", "Input should be 'bakery/artifact/1'"),
        ({"colour": "red"}, "a.json: colour", "Unexpected keyword argument"),
        ({"disk": {"path": "x"}}, "a.json: disk.format", "Field required"),
        ({"mode": "docker"}, "a.json: mode", "Input should be 'vm' or 'chroot'"),
        ({"inputs": {"a": 1}}, "a.json: inputs.a", "Input should be a valid string"),
    ],
)
def test_document_of_another_kind(change: dict[str, Any], where: str, message: str) -> None:
    data = json.loads(documents.dump(ARTIFACT)) | change
    with pytest.raises(BakeryError) as caught:
        documents.parse(Artifact, json.dumps(data).encode(), "a.json")
    assert (caught.value.where, caught.value.message) == (where, f"not a valid artifact document: {message}")
    is_newer = change.keys() <= {"schema", "colour"}
    assert ("another version of bakery" in caught.value.hint, "damaged" in caught.value.hint) == (
        is_newer,
        not is_newer,
    )


def test_publication_of_release_0_1() -> None:
    first = json.loads(documents.dump(PUBLICATION)) | {"schema": "bakery/publication/1"}
    first["places"], first["parameters"] = first.pop("locations"), first.pop("pointers")
    assert documents.parse(Publication, json.dumps(first).encode(), "record.json") == PUBLICATION
    del first["places"]
    with pytest.raises(BakeryError, match="not a valid publication document: Field required"):
        documents.parse(Publication, json.dumps(first).encode(), "record.json")


def test_several_documents_are_one_list() -> None:
    assert [found["schema"] for found in json.loads(documents.dump_all(ALL))] == [found.schema for found in ALL]
    assert json.loads(documents.dump_all([])) == []


def test_bytes_depend_on_the_document_alone() -> None:
    again = documents.parse(Artifact, documents.dump(ARTIFACT), "")
    assert documents.dump(again) == documents.dump(ARTIFACT)
    assert documents.dump(ARTIFACT).endswith(b"}\n")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Artifact, "artifact"),
        (RemoteBuild, "remote build"),
        (ChannelEntry, "channel entry"),
        (VulnerabilityReport, "vulnerability report"),
    ],
)
def test_messages_name_a_kind_of_document_in_words(kind: type[Any], name: str, tmp_path: Path) -> None:
    with pytest.raises(BakeryError, match=f"^not a valid {name} document: "):
        documents.parse(kind, b"{}", "somewhere")
    with pytest.raises(NotFoundError, match=f"^no {name} document$"):
        documents.load(kind, tmp_path / "none.json")
