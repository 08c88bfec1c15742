"""Uploads a disk to a page blob as a fixed VHD, which a gallery version is made from.

The blob is named by content and leased while it is written, so that two uploads exclude each other. The metadata of a
finished blob says so; any other blob is written again, since its progress is not known.
"""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobServiceClient, StorageErrorCode

from bakery.clouds.azure.calls import explain_errors
from bakery.clouds.azure.lease import Lease, acquire
from bakery.clouds.azure.names import BLOB_CONTAINER
from bakery.clouds.phases import ReportProgress
from bakery.machine import disk_image
from bakery.machine.raw_disk import BakedDisk, send_blocks
from bakery.model.documents import Disk
from bakery.model.tags import CONTENT, Tags

FINISHED = "bakery_raw_sha256"  # metadata: names are C# identifiers
RANGE = 4 << 20  # bytes; the most that Put Page takes
MIB = 1 << 20  # Azure takes disks of whole MiB
WORKERS = 8  # parallel writes; with 4 MiB each enough for a gigabit line at 250 ms a write
WINDOW = 2 * WORKERS  # ranges in memory (64 MiB), so that workers never wait for the reader


@dataclass(frozen=True)
class Upload:
    """A blob that is being written, under this run's lease."""

    blob: BlobClient
    lease: Lease
    disk: BakedDisk
    size: int  # of the disk in Azure; the footer comes behind it


def name(tags: Tags) -> str:
    """The name has the version, for people, and the content's digest."""
    return f"{tags['Name']}-{tags[CONTENT][:16]}.vhd"


def ensure(blobs: BlobServiceClient, disk: Disk, tags: Tags, report_progress: ReportProgress) -> str:
    """The URL of a blob with the disk's content, uploaded if no earlier run did."""
    blob = blobs.get_blob_client(BLOB_CONTAINER, name(tags))
    with explain_errors("upload the disk", blob.url):
        _make_container(blobs)
        if not finished(blob, tags):
            _upload_disk(blob, disk, tags, report_progress)
    return str(blob.url)


def require_access(blobs: BlobServiceClient) -> None:
    """BakeryError unless the login may read the container of disks, which the first upload makes."""
    container = blobs.get_container_client(BLOB_CONTAINER)
    with explain_errors("read the storage account", container.url):
        try:
            container.get_container_properties()
        except ResourceNotFoundError as error:
            if getattr(error, "error_code", "") != StorageErrorCode.CONTAINER_NOT_FOUND:
                raise


def remove(blobs: BlobServiceClient, tags: Tags) -> None:
    """Delete the blob; no error if it is gone. The versions that were made of it do not need it."""
    blob = blobs.get_blob_client(BLOB_CONTAINER, name(tags))
    with explain_errors("delete the uploaded disk", blob.url), suppress(ResourceNotFoundError):
        blob.delete_blob()


def finished(blob: BlobClient, tags: Tags) -> bool:
    """Whether a run has written all of it."""
    try:
        return dict(blob.get_blob_properties().metadata or {}).get(FINISHED) == tags[CONTENT]
    except ResourceNotFoundError:
        return False


def _make_container(blobs: BlobServiceClient) -> None:
    container = blobs.get_container_client(BLOB_CONTAINER)
    if not container.exists():
        with suppress(ResourceExistsError):  # another run was faster
            container.create_container()


def _upload_disk(blob: BlobClient, disk: Disk, tags: Tags, report_progress: ReportProgress) -> None:
    path = Path(disk.path)
    source = BakedDisk(disk, RANGE, disk_image.qcow2_layout(path))
    size = -(-source.size // MIB) * MIB
    footer = disk_image.vhd_footer(path.parent, size)
    with _hold_lease(blob, size + len(footer)) as lease:
        if not finished(blob, tags):  # another run may have written it while this one waited for the lease
            upload(Upload(blob, lease, source, size), footer, tags[CONTENT], report_progress)


@contextmanager
def _hold_lease(blob: BlobClient, size: int) -> Iterator[Lease]:
    """Make the blob if it is absent, and hold its lease."""
    with suppress(ResourceExistsError):
        blob.create_page_blob(size, match_condition=MatchConditions.IfMissing)
    lease = acquire(blob)
    try:
        yield lease
    finally:
        lease.release()


def upload(work: Upload, footer: bytes, content: str, report_progress: ReportProgress) -> None:
    """Write the disk and its footer into an empty blob; mark it as finished with `content` if it is the disk baked."""
    work.blob.create_page_blob(
        work.size + len(footer), lease=work.lease.id
    )  # this clears what an unfinished upload wrote

    def finish(writing: Future[None]) -> None:
        work.lease.keep_until(writing)
        writing.result()

    write = partial(_write_range, work)
    for index, _ in send_blocks(work.disk, write, workers=WORKERS, window=WINDOW, finish=finish):
        report_progress(index / work.disk.blocks)
    work.blob.upload_page(footer, work.size, len(footer), lease=work.lease.id, validate_content=True)
    work.blob.set_blob_metadata({FINISHED: content}, lease=work.lease.id)


def _write_range(work: Upload, index: int, data: bytes) -> None:
    """Upload one range with its MD5, so that Azure refuses damaged data."""
    start = index * RANGE
    data = data[: work.size - start]
    work.blob.upload_page(data, start, len(data), lease=work.lease.id, validate_content=True)
