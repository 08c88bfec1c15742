"""Retires a version: takes it out of "latest", sets its end of life, deletes it.

Azure keeps nobody from a version that exists. Its end of life only informs (MicrosoftDocs/azure-docs issue 76547), its
safety profile only guards it from deletion, and who may read a gallery is said of the gallery, not by the bakery.
A disabled version is therefore like a deprecated one.
"""

from datetime import UTC, datetime

from azure.mgmt.compute.models import GalleryImageVersion

from bakery.clouds.azure import blobs, replication, versions
from bakery.clouds.azure.names import GalleryVersion
from bakery.clouds.azure.session import AzureSession
from bakery.clouds.phases import ReportProgress
from bakery.host.errors import ConflictError
from bakery.model.documents import Availability
from bakery.model.tags import CONTENT


def find_fault(version: GalleryImageVersion, availability: Availability) -> str:
    """The reason why a version does not have an availability, other than removed; empty if it has it."""
    profile = version.publishing_profile
    is_excluded, end = bool(profile and profile.exclude_from_latest), _end_of_life(version)
    is_over = end is not None and end <= datetime.now(UTC)
    if availability == "available":
        return "it is excluded from latest" if is_excluded else f"its end of life was {end}" if is_over else ""
    return "it is not excluded from latest" if not is_excluded else "" if is_over else "it has no end of life yet"


def bring_to(
    session: AzureSession, address: GalleryVersion, availability: Availability, report_progress: ReportProgress
) -> None:
    """Set what Azure has for an availability, other than removed, after what it still does; an equal one stays."""
    version = replication.wait(session, address, [], report_progress, to_the_end=True)
    if not find_fault(version, availability) or version.publishing_profile is None:
        return
    version.publishing_profile.exclude_from_latest = availability != "available"
    version.publishing_profile.end_of_life_date = None if availability == "available" else datetime.now(UTC)
    versions.replace(session, address, version)


def remove(session: AzureSession, address: GalleryVersion, version: GalleryImageVersion) -> None:
    """Delete a version, and the disk that it was made of if a run left it. ConflictError if Azure has to keep it."""
    _refuse_blocked(address, version)
    tags = dict(version.tags or {})
    if session.blobs and CONTENT in tags:
        blobs.remove(session.blobs, tags)  # first: its name follows from the version's tags
    versions.remove(session, address)


def _refuse_blocked(address: GalleryVersion, version: GalleryImageVersion) -> None:
    safety, end = version.safety_profile, _end_of_life(version)
    if safety and safety.block_deletion_before_end_of_life and not (end and end <= datetime.now(UTC)):
        raise ConflictError(
            f"version {address.version} of {address.image} must not be deleted before its end of life",
            where=str(address),
            detail=f"its end of life is {end or 'not set'}, and blockDeletionBeforeEndOfLife is on",
            hint="wait for that day, or set safetyProfile.blockDeletionBeforeEndOfLife of the version to false",
        )


def _end_of_life(version: GalleryImageVersion) -> datetime | None:
    return version.publishing_profile.end_of_life_date if version.publishing_profile else None
