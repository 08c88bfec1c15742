"""One version on its way into the gallery and to every region: disk, image definition, version, replicas, tags."""

from azure.mgmt.compute.models import GalleryDiskImageSource, GalleryImageVersion
from azure.storage.blob import BlobServiceClient

from bakery.clouds.azure import blobs, gallery, replication, retirement, tagging, versions
from bakery.clouds.azure.names import GalleryVersion
from bakery.clouds.azure.session import AzureSession
from bakery.clouds.azure.settings import AzureDistribution
from bakery.clouds.azure.versions import Operation
from bakery.clouds.phases import Phases
from bakery.host.errors import UsageError
from bakery.model import tags
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Disk


class AzureRelease:
    """Creates one version in all regions. Every step looks for an existing resource first."""

    def __init__(
        self,
        definition: ImageDefinition,
        session: AzureSession,
        address: GalleryVersion,
        expected: tags.Tags,
        phases: Phases,
    ) -> None:
        azure = definition.distribution.of(AzureDistribution)
        assert azure
        self._definition = definition
        self._azure = azure
        self._session = session
        self._address = address
        self._expected = expected
        self._phases = phases

    def publish(self, disk: Disk) -> GalleryImageVersion:
        """The version made of a disk, in all regions. A usable version of an earlier run is adopted."""
        operation = None if self._find_usable() else self._create_version(disk)
        version = self.complete(operation)
        if self._session.blobs:
            blobs.remove(self._session.blobs, self._expected)  # not before: a failed version needs it again
        return version

    def complete(self, operation: Operation | None = None) -> GalleryImageVersion:
        """The existing or pending version, when it is in all regions with the right tags, and "latest" may be it."""
        version = versions.find(self._session, self._address)
        if version is None or not replication.is_complete(version, self._azure.regions):
            version = self._replicate_version(operation)
        tagging.repair(self._session, str(self._address), dict(version.tags or {}), self._expected)
        if retirement.find_fault(version, "available"):
            with self._phases.phase("offer", "let latest be the version") as report_progress:
                retirement.bring_to(self._session, self._address, "available", report_progress)
        return version

    def _find_usable(self) -> GalleryImageVersion | None:
        """The version that an earlier run made; a version that failed everywhere is removed."""
        version = versions.find(self._session, self._address)
        if version is None:
            return None
        if replication.state(version) == "Deleting":
            versions.await_gone(self._session, self._address)
            return None
        versions.refuse_foreign(self._address, version, self._expected[tags.SHA256])
        if replication.state(version) == "Failed" and not replication.completed_regions(version, self._azure.regions):
            versions.remove(self._session, self._address)
            return None
        return version

    def _create_version(self, disk: Disk) -> Operation | None:
        """Start the version; None if another run did it while this one uploaded."""
        store, account = self._blob_store()
        gallery.ensure(self._session, self._definition, self._address)
        with self._phases.phase("upload", f"upload the disk to {account}") as report_progress:
            url = blobs.ensure(store, disk, self._expected, report_progress)
        if self._find_usable():
            return None
        group = f"/subscriptions/{self._azure.subscription}/resourceGroups/{self._azure.resource_group}"
        source = GalleryDiskImageSource(
            uri=url, storage_account_id=f"{group}/providers/Microsoft.Storage/storageAccounts/{account}"
        )
        return versions.create(self._session, self._address, source, self._azure.regions, self._expected)

    def _replicate_version(self, operation: Operation | None) -> GalleryImageVersion:
        """Wait for the first replica, then for all. Replicas that an earlier run did not get are requested again."""
        session, address, regions = self._session, self._address, self._azure.regions
        with self._phases.phase("create", f"make the version in {regions[0]}") as report_progress:
            version = replication.wait(session, address, regions[:1], report_progress, to_the_end=False)
        if operation is None and replication.is_final(version) and not replication.is_complete(version, regions):
            # Regions that were added by hand stay.
            all_regions = list(dict.fromkeys((*regions, *replication.requested_regions(version))))
            operation = versions.extend(session, address, version, all_regions)
        with self._phases.phase("replicate", f"replicas in {', '.join(regions)}") as report_progress:
            version = replication.wait(session, address, regions, report_progress, to_the_end=True)
            replication.refuse_incomplete(address, version, regions, operation)
        return version

    def _blob_store(self) -> tuple[BlobServiceClient, str]:
        if self._session.blobs is None or self._azure.storage_account is None:
            raise UsageError(
                "uploading a disk to the gallery needs a storage account, and none is set",
                hint="add distribution.azure.storage_account",
            )
        return self._session.blobs, self._azure.storage_account
