"""What is told of a publication, region by region."""

from typing import Any

import pytest
from azure.mgmt.compute.models import GalleryImageVersion

from bakery.clouds.azure import audit, versions
from bakery.host.errors import BakeryError
from bakery.model import tags
from bakery.model.documents import ImageLocation, Publication

ID = "/subscriptions/s/resourceGroups/images/providers/Microsoft.Compute/galleries/bakery/images/web/versions/1.0.3"
PUBLICATION = Publication(
    *("web", "x86_64", "1.0.3", "a" * 64, "azure"),
    locations=tuple(ImageLocation("s", region, ID) for region in ("westeurope", "eastus", "northeurope")),
)
SESSION: Any = None


def _findings(monkeypatch: pytest.MonkeyPatch, found: object) -> list[tuple[str, str, str]]:
    def find(*_: object) -> object:
        if isinstance(found, BakeryError):
            raise found
        return found

    monkeypatch.setattr(versions, "find", find)
    told = audit.inspect(SESSION, PUBLICATION, "available")
    return [(finding.location.replace(ID, "ID"), finding.status, finding.detail) for finding in told]


def test_each_region_and_the_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    summary = [{"region": "West Europe", "state": "Completed"}, {"region": "East US", "state": "Failed"}]
    have = tags.of_publication(PUBLICATION) | {"bakery:version": "1.0.4"}
    properties = {"provisioningState": "Failed", "replicationStatus": {"summary": summary}}
    properties["publishingProfile"] = {"excludeFromLatest": True}
    found = GalleryImageVersion({"location": "westeurope", "tags": have, "properties": properties})
    assert _findings(monkeypatch, found) == [
        ("ID tags", "incorrect", "bakery:version is 1.0.4, expected 1.0.3"),
        ("ID available", "incorrect", "it is excluded from latest"),
        ("westeurope ID", "correct", ""),
        ("eastus ID", "incorrect", "the replica is Failed, expected Completed"),
        ("northeurope ID", "missing", "no replica"),
    ]


def test_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _findings(monkeypatch, None) == [("ID", "missing", "no such version")]


def test_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    error = BakeryError("cannot look", detail="403")
    assert _findings(monkeypatch, error) == [("ID", "unreachable", "cannot look: 403")]
