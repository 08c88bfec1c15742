"""Watches a version's replicas: read their state, wait, and report missing ones."""

from collections.abc import Iterable, Sequence

from azure.core.exceptions import AzureError
from azure.mgmt.compute.models import GalleryImageVersion, RegionalReplicationStatus

from bakery.clouds.azure.calls import enum_text
from bakery.clouds.azure.names import GalleryVersion
from bakery.clouds.azure.session import AzureSession
from bakery.clouds.azure.versions import Operation, find
from bakery.clouds.phases import ReportProgress
from bakery.host.errors import BakeryError, PartialError
from bakery.host.waiting import wait_until

MOVING = {"Creating", "Updating", "Migrating"}
# Users report 90 to 120 min (Azure/AgentBaker, pull request 742). Azure continues, and the next run waits again.
REPLICATED_SECONDS = 4 * 3600.0
REASON_SECONDS = 30.0  # a failed operation gives its reason a moment after its version shows as failed


def state(version: GalleryImageVersion) -> str:
    """Creating, Updating, Succeeded, Failed, Deleting or Migrating."""
    return enum_text(version.provisioning_state)


def replicas(version: GalleryImageVersion) -> dict[str, RegionalReplicationStatus]:
    """Replicas by region, as definitions write it: Azure answers with display names, such as West Europe."""
    status = version.replication_status
    return {_region_name(replica.region): replica for replica in (status.summary if status else None) or ()}


def completed_regions(version: GalleryImageVersion, regions: Iterable[str]) -> list[str]:
    """The regions in which the version can be used."""
    statuses = replicas(version)
    return [region for region in regions if region in statuses and statuses[region].state == "Completed"]


def is_complete(version: GalleryImageVersion, regions: Sequence[str]) -> bool:
    """Whether it can be used in all regions."""
    return state(version) == "Succeeded" and len(completed_regions(version, regions)) == len(regions)


def is_final(version: GalleryImageVersion) -> bool:
    """Whether Azure has stopped working on the version."""
    return state(version) not in MOVING


def wait(
    session: AzureSession,
    address: GalleryVersion,
    regions: Sequence[str],
    report_progress: ReportProgress,
    *,
    to_the_end: bool,
) -> GalleryImageVersion:
    """The version when Azure has finished, even by a failure; or, without `to_the_end`, when all `regions` have it."""
    latest: GalleryImageVersion | None = None

    def look() -> bool | None:
        nonlocal latest
        latest = find(session, address)
        if latest is None:
            return True
        statuses = replicas(latest)
        if regions:
            progress = sum(statuses[region].progress or 0 for region in regions if region in statuses)
            report_progress(progress / len(regions) / 100)
        is_everywhere = len(completed_regions(latest, regions)) == len(regions)
        return True if is_final(latest) or (is_everywhere and not to_the_end) else None

    outcome = wait_until(look, REPLICATED_SECONDS)
    if latest is None:
        raise BakeryError("the version is gone", where=str(address), hint="run again to make it again")
    if outcome is None:
        raise BakeryError(
            f"the version is still {state(latest)} after {REPLICATED_SECONDS / 60:.0f} min",
            where=str(address),
            detail=_describe_replicas(latest, regions),
            hint="Azure continues; run again to continue waiting",
        )
    return latest


def refuse_incomplete(
    address: GalleryVersion, version: GalleryImageVersion, regions: Sequence[str], operation: Operation | None
) -> None:
    """PartialError if some regions have no replica, BakeryError if none has one or the version failed."""
    if is_complete(version, regions):
        return
    done = completed_regions(version, regions)
    detail = "\n".join(filter(None, (_failure_reason(operation), _describe_replicas(version, regions))))
    if not done:
        raise BakeryError(
            f"version {address.version} of {address.image} is {state(version)}",
            where=str(address),
            detail=detail,
            hint="run again: a failed version is removed and made again",
        )
    raise PartialError(
        f"version {address.version} of {address.image} is missing in some regions; it can be used in {', '.join(done)}",
        where=str(address),
        detail=detail,
        hint="run again: existing replicas are kept, and only the missing ones are made",
    )


def _failure_reason(operation: Operation | None) -> str:
    """The reason why Azure failed, if this run requested the version."""
    if operation is None:
        return ""
    try:
        operation.result(REASON_SECONDS)
    except AzureError as error:
        return str(error.message)
    return ""


def _describe_replicas(version: GalleryImageVersion, regions: Iterable[str]) -> str:
    statuses = replicas(version)
    lines = []
    for region in regions:
        replica = statuses.get(region)
        line = (
            f"{enum_text(replica.state)}, {replica.progress or 0} %: {replica.details or ''}"
            if replica
            else "no replica"
        )
        lines.append(f"{region}: {line}".rstrip(": "))
    return "\n".join(lines)


def requested_regions(version: GalleryImageVersion) -> list[str]:
    """The regions that were requested."""
    profile = version.publishing_profile
    return [_region_name(region.name) for region in (profile.target_regions if profile else None) or ()]


def _region_name(region: str | None) -> str:
    return (region or "").replace(" ", "").lower()
