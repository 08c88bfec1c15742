"""Read the disk of a library item back: download its VMDK in a download session, and convert it."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bakery.clouds.read_back import OtherDiskError, ReadRequest
from bakery.clouds.vsphere.library import File, Item, Library
from bakery.clouds.vsphere.session import VCenter, connect
from bakery.clouds.vsphere.settings import VsphereDistribution
from bakery.clouds.vsphere.transfer import Endpoint, Message
from bakery.host import files
from bakery.host.errors import BakeryError, NotFoundError, UsageError
from bakery.host.waiting import wait_until
from bakery.machine import disk_image
from bakery.machine.block_stream import BlockStream, open_raw

SESSIONS = "/content/library/item/download-session"
FILES = "/content/library/item/downloadsession/file"
PREPARE_SECONDS = 3600.0  # vCenter may first copy the file from the library's datastore
# VMware, "Virtual Disk Format 5.0", SparseExtentHeader: magic, version, flags, capacity in sectors.
HEADER = struct.Struct("<4sIIQ")
MAGIC = b"KDMV"


@dataclass(frozen=True)
class _Checksum:
    checksum: str
    algorithm: str = ""


@dataclass(frozen=True)
class _Download:
    name: str
    status: str
    download_endpoint: Endpoint | None = None
    checksum_info: _Checksum | None = None
    error_message: Message | None = None


@contextmanager
def open_disk(request: ReadRequest) -> Iterator[BlockStream]:
    """The disk of an item, by its ID or, for a build of Packer, by its name."""
    settings = request.settings
    if not isinstance(settings, VsphereDistribution):
        raise UsageError(
            "vCenter's login is unknown without the image's definition", hint="run this where the image is defined"
        )
    location = request.location
    server = location.account or settings.server
    if server not in settings.locations:  # it would get the login of ours
        raise UsageError(
            f"{location.id} is in the vCenter {location.account}", hint=f"the definition names {settings.server}"
        )
    with connect(server, request.credentials) as vcenter:
        library = Library(vcenter, location.region)
        item = library.by_id(location.id) or library.item(location.id)
        if item is None:
            raise NotFoundError(f"there is no item {location.id}", where=library.where)
        vmdk = _download_disk(library, item, request)
    raw = request.scratch / "disk.raw"
    refuse_outside_files(vmdk)
    disk_image.write_raw(vmdk, raw)
    yield open_raw(raw)


def _download_disk(library: Library, item: Item, request: ReadRequest) -> Path:
    """The VMDK of an item, as large as the library says."""
    file = _find_disk(library, item)
    target = request.scratch / "disk.vmdk"
    files.require_space(request.scratch, 2 * file.size, "a copy of the disk")
    vcenter = library.vcenter
    spec = {"create_spec": {"library_item_id": item.id}}
    session = vcenter.create(f"start the download of {item.name}", SESSIONS, spec)
    try:
        download = _prepare_file(library, session, file.name)
        vcenter.download(
            f"get {file.name}",
            download.download_endpoint.uri if download.download_endpoint else "",
            target,
            lambda count: request.report_progress(count / file.size),
        )
    finally:
        with suppress(BakeryError):  # the session expires by itself
            vcenter.delete("end a download", f"{SESSIONS}/id:{session}")
    _refuse_damage(library, file, download, target)
    return target


def _find_disk(library: Library, item: Item) -> File:
    """The only disk of an item; OtherDiskError if it has several: a version has one."""
    disks = [file for file in library.files(item) if file.name.lower().endswith(".vmdk") and file.size]
    if len(disks) != 1:
        raise OtherDiskError(
            f"{item.name} has {len(disks)} disks, expected one",
            where=library.where,
            detail=", ".join(file.name for file in disks),
            hint="do not deploy this item; find out who changed it",
        )
    return disks[0]


def _prepare_file(library: Library, session: str, name: str) -> _Download:
    """The download of a file when vCenter has prepared it."""
    vcenter, path = library.vcenter, f"{FILES}/id:{session}"
    first = _ask_for_file(vcenter, path, "prepare", name)

    def look() -> _Download | None:
        download = _ask_for_file(vcenter, path, "get", name)
        return download if download.status in ("PREPARED", "ERROR") else None

    download = first if first.status in ("PREPARED", "ERROR") else wait_until(look, PREPARE_SECONDS)
    if download is None or download.status == "ERROR" or download.download_endpoint is None:
        message = download.error_message.default_message if download and download.error_message else "it is not ready"
        raise BakeryError(f"vCenter does not give {name}", where=library.where, detail=message, hint="run again")
    return download


def _ask_for_file(vcenter: VCenter, path: str, action: str, name: str) -> _Download:
    return vcenter.ask(f"{action} the download of {name}", path, action, _Download, {"file_name": name})


def _refuse_damage(library: Library, file: File, download: _Download, target: Path) -> None:
    """BakeryError unless the file has the size, and the checksum if vCenter says one, of the library's."""
    checksum = download.checksum_info
    expected = checksum.checksum.lower() if checksum and checksum.algorithm == "SHA256" else ""
    size, digest = target.stat().st_size, files.sha256(target) if expected else ""
    if size != file.size or digest != expected:
        raise BakeryError(
            f"{file.name} cannot be read intact",
            where=library.where,
            detail=f"it has {size} bytes {digest}, expected {file.size} {expected}".rstrip(),
            hint="run again: the network or a proxy may have damaged it",
        )


def refuse_outside_files(vmdk: Path) -> None:
    """OtherDiskError unless a VMDK holds all of its content: qemu-img would read the files that one names."""
    with vmdk.open("rb") as stream:
        header = stream.read(HEADER.size)
    is_sparse = len(header) == HEADER.size and HEADER.unpack(header)[0] == MAGIC and HEADER.unpack(header)[3] > 0
    if not is_sparse or disk_image.inspect(vmdk).get("backing-filename"):
        raise OtherDiskError(
            f"{vmdk.name} is not a disk in one file", hint="do not deploy this item; find out who changed it"
        )
