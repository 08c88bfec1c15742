"""Read a gallery version back: make a disk of it, export the disk by a SAS, read its pages, and remove both again."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from azure.core.exceptions import ResourceNotFoundError
from azure.mgmt.compute.models import CreationData, Disk, GrantAccessData, ImageDiskReference
from azure.mgmt.compute.models import DiskProperties as Properties
from azure.storage.blob import BlobClient

from bakery.clouds.azure.blobs import WORKERS
from bakery.clouds.azure.calls import SETTINGS, explain_errors
from bakery.clouds.azure.names import GalleryVersion
from bakery.clouds.azure.session import AzureSession, connect
from bakery.clouds.azure.settings import AzureDistribution
from bakery.clouds.phases import ReportProgress
from bakery.clouds.read_back import ReadRequest
from bakery.host.errors import BakeryError, UsageError
from bakery.machine.block_list import BLOCK
from bakery.machine.block_stream import BlockStream, fetch_blocks

SAS_SECONDS = 4 * 3600  # a disk of 30 GiB at 20 Mbit/s; the export ends by itself if this run is killed
FOOTER = 512  # bytes behind the disk: the export is a fixed VHD
PAUSE = 5  # seconds between two requests for an operation
WINDOW = 4 * WORKERS  # blocks in memory (16 MiB)
TAGS = {"bakery:purpose": "read back"}  # a killed run leaves a disk with this tag


@contextmanager
def open_disk(request: ReadRequest) -> Iterator[BlockStream]:
    """The disk of a version, as a disk that is made of its replica in the location's region."""
    settings = request.settings
    if not isinstance(settings, AzureDistribution):
        raise UsageError(
            "Azure's tenant is unknown without the image's definition", hint="run this where the image is defined"
        )
    address, region = GalleryVersion.parse(request.location.id), request.location.region
    session, name = connect(settings, request.credentials), f"bakery-read-{uuid.uuid4().hex[:12]}"
    try:
        _make_disk(session, settings.resource_group, name, address, region)
        with explain_errors("export the disk of the version", str(address)):
            grant = GrantAccessData(access="Read", duration_in_seconds=SAS_SECONDS, file_format="VHD")
            access = session.compute.disks.begin_grant_access(
                settings.resource_group, name, grant, polling_interval=PAUSE
            ).result()
        blob = BlobClient.from_blob_url(access.access_sas or "", **SETTINGS)
        yield read_pages(blob, address, request.report_progress)
    finally:
        _remove_disk(session, settings.resource_group, name)


def read_pages(blob: BlobClient, address: GalleryVersion, report_progress: ReportProgress) -> BlockStream:
    """The written pages of an exported disk, several blocks fetched at once. `address` is for messages."""
    where = str(address)  # never the blob's URL, which has the signature
    with explain_errors("list the pages of the exported disk", where):
        size = blob.get_blob_properties().size - FOOTER
        pages = [(page.start or 0, page.end or 0) for page in blob.list_page_ranges()]
    indexes = sorted({index for start, end in pages for index in range(start // BLOCK, end // BLOCK + 1)})
    indexes = [index for index in indexes if index * BLOCK < size]

    def fetch(index: int) -> bytes:
        start = index * BLOCK
        with explain_errors(f"read block {index}, at byte {start}", where):
            download = blob.download_blob(start, min(BLOCK, size - start), validate_content=True)
            content: bytes = download.readall()
        if len(content) != min(BLOCK, size - start):
            raise BakeryError(f"block {index} is incomplete", where=where, hint="run again")
        return content.ljust(BLOCK, b"\0")

    def read_blocks() -> Iterator[tuple[int, bytes]]:
        for number, (index, block) in enumerate(fetch_blocks(indexes, fetch, workers=WORKERS, window=WINDOW), 1):
            yield index, block
            report_progress(number / len(indexes))

    return BlockStream(size, read_blocks())


def _make_disk(session: AzureSession, group: str, name: str, address: GalleryVersion, region: str) -> None:
    source = CreationData(create_option="FromImage", gallery_image_reference=ImageDiskReference(id=str(address)))
    disk = Disk(location=region, tags=TAGS, properties=Properties(creation_data=source))
    with explain_errors("make a disk of the version", str(address)):
        session.compute.disks.begin_create_or_update(group, name, disk, polling_interval=PAUSE).result()


def _remove_disk(session: AzureSession, group: str, name: str) -> None:
    """End the export and delete the disk; no error if the disk was never made."""
    with explain_errors(f"delete the disk {name}", group), suppress(ResourceNotFoundError):
        session.compute.disks.begin_revoke_access(group, name, polling_interval=PAUSE).result()
        session.compute.disks.begin_delete(group, name, polling_interval=PAUSE).result()
