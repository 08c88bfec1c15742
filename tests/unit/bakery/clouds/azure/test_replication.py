"""What the state of a version says about regions."""

from typing import Any

import pytest
from azure.mgmt.compute.models import GalleryImageVersion

from bakery.clouds.azure import replication
from bakery.clouds.azure.names import GalleryVersion
from bakery.clouds.azure.replication import (
    completed_regions,
    is_complete,
    is_final,
    refuse_incomplete,
    requested_regions,
)
from bakery.host.errors import BakeryError, PartialError

ADDRESS = GalleryVersion("s", "images", "bakery", "web-x86_64", "1.0.3")
REGIONS = ("westeurope", "eastus2")


def _version(state: str, **replicas: str) -> GalleryImageVersion:
    """As Azure answers: regions by their display names."""
    names = {"westeurope": "West Europe", "eastus2": "East US 2", "northeurope": "North Europe"}
    summary = [{"region": names[region], "state": seen, "progress": 40} for region, seen in replicas.items()]
    properties: dict[str, Any] = {
        "provisioningState": state,
        "replicationStatus": {"aggregatedState": "InProgress", "summary": summary},
        "publishingProfile": {"targetRegions": [{"name": names[region]} for region in replicas]},
        "storageProfile": {},
    }
    return GalleryImageVersion({"location": "westeurope", "properties": properties})


def test_regions_are_told_as_definitions_write_them() -> None:
    found = _version("Updating", westeurope="Completed", eastus2="Replicating", northeurope="Completed")
    assert completed_regions(found, REGIONS) == ["westeurope"]
    assert requested_regions(found) == ["westeurope", "eastus2", "northeurope"]


@pytest.mark.parametrize(
    ("state", "second", "is_whole", "is_settled"),
    [
        ("Succeeded", "Completed", True, True),
        ("Updating", "Completed", False, False),
        ("Creating", "Replicating", False, False),
        ("Failed", "Failed", False, True),
        ("Failed", "Completed", False, True),
        ("Succeeded", "Unknown", False, True),
        ("Migrating", "Completed", False, False),
    ],
)
def test_states(state: str, second: str, *, is_whole: bool, is_settled: bool) -> None:
    found = _version(state, westeurope="Completed", eastus2=second)
    assert (is_complete(found, REGIONS), is_final(found)) == (is_whole, is_settled)


def test_a_version_that_nobody_asked_to_expand_has_no_replicas() -> None:
    found = GalleryImageVersion({"location": "westeurope", "properties": {"provisioningState": "Succeeded"}})
    assert not is_complete(found, REGIONS)
    assert requested_regions(found) == []


def test_some_regions_are_partial_none_is_a_failure() -> None:
    refuse_incomplete(ADDRESS, _version("Succeeded", westeurope="Completed", eastus2="Completed"), REGIONS, None)
    with pytest.raises(PartialError, match="can be used in westeurope") as caught:
        refuse_incomplete(ADDRESS, _version("Failed", westeurope="Completed"), REGIONS, None)
    assert caught.value.detail == "westeurope: Completed, 40 %\neastus2: no replica"
    with pytest.raises(BakeryError, match=r"version 1\.0\.3 of web-x86_64 is Failed") as failed:
        refuse_incomplete(ADDRESS, _version("Failed", westeurope="Failed", eastus2="Failed"), REGIONS, None)
    assert not isinstance(failed.value, PartialError)


def test_waiting_ends_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replication, "REPLICATED_SECONDS", 0.0)
    monkeypatch.setattr(replication, "find", lambda *_: _version("Creating", westeurope="Replicating"))
    session: Any = None
    with pytest.raises(BakeryError, match="still Creating after") as caught:
        replication.wait(session, ADDRESS, REGIONS, lambda share: None, to_the_end=True)
    assert "run again to continue waiting" in caught.value.hint


def test_progress_is_of_all_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replication, "find", lambda *_: _version("Failed", westeurope="Replicating"))
    shares: list[float] = []
    session: Any = None
    replication.wait(session, ADDRESS, REGIONS, shares.append, to_the_end=True)
    assert shares == [0.2]
