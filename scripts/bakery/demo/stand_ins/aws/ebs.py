"""EBS direct: whole blocks with verified checksums, parents, idempotent starts, counted completions."""

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.ebs.responses import EBSResponse
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.elastic_block_store import Snapshot

from bakery.demo.stand_ins.aws import snapshots
from bakery.demo.stand_ins.aws.keys import default_key_arn, key_arn
from bakery.demo.stand_ins.aws.world import WORLD, Disk, Remembered

# Limits of the API: EBS direct API reference, PutSnapshotBlock, StartSnapshot and ListSnapshotBlocks.
BLOCK_SIZE = 524_288  # bytes
BLOCKS_PER_GIB = 2048
MAX_SIZE = 65_536  # GiB
MAX_PENDING = 100  # snapshots of one account
MAX_RESULTS = 10_000


class EbsError(ServiceException):
    """An error with the `Reason` that EBS direct adds; code and reasons are those of the API model."""

    def __init__(self, code: str, message: str, reason: str | None = None) -> None:
        super().__init__(code, message)
        self.Reason = reason


def invalid(reason: str, message: str) -> EbsError:
    return EbsError("ValidationException", message, reason)


def start_snapshot(self: EBSResponse) -> ActionResult:
    names = ("VolumeSize", "ParentSnapshotId", "Description", "Encrypted", "KmsKeyArn", "Tags", "Timeout")
    request = json.dumps([self._get_param(name) for name in names])
    token = self._get_param("ClientToken") or uuid.uuid4().hex
    key = ("StartSnapshot", self.current_account, self.region, token)
    record = WORLD.tokens.get(key)
    if record is None:
        record = WORLD.tokens[key] = Remembered(request, _new_snapshot(self).id)
    elif record.request != request:
        raise EbsError("ConflictException", "The client token belongs to a different request")
    snapshot = _region_backend(self).snapshots[record.resource_id]
    return ActionResult(
        {
            "SnapshotId": snapshot.id,
            "OwnerId": snapshot.owner_id,
            "Status": snapshot.status,
            "StartTime": snapshot.start_time,
            "VolumeSize": snapshot.volume_size,
            "BlockSize": BLOCK_SIZE,
            "Description": snapshot.description,
            "Tags": [{"Key": tag["key"], "Value": tag["value"]} for tag in snapshot.get_tags()],
            "ParentSnapshotId": self._get_param("ParentSnapshotId"),
            "KmsKeyArn": snapshot.kms_key_id,
        }
    )


def _new_snapshot(self: EBSResponse) -> Snapshot:
    backend = _region_backend(self)
    size = self._get_param("VolumeSize")
    if not 1 <= size <= MAX_SIZE:
        raise invalid("INVALID_VOLUME_SIZE", f"VolumeSize is 1 to {MAX_SIZE} GiB, not {size}")
    if sum(snapshot.status == "pending" for snapshot in backend.snapshots.values()) >= MAX_PENDING:
        message = f"{MAX_PENDING} snapshots are pending already"
        raise EbsError("ServiceQuotaExceededException", message, "DEPENDENCY_SERVICE_QUOTA_EXCEEDED")
    inherited, kms_key_arn = (
        _read_parent(self, size) if self._get_param("ParentSnapshotId") else ({}, _snapshot_key(self))
    )
    snapshot = snapshots.create(backend, size, self._get_param("Description", ""), kms_key_arn)
    snapshot.add_tags({tag["Key"]: tag["Value"] for tag in self._get_param("Tags", [])})
    WORLD.disks[snapshot.id] = Disk(size, inherited)
    return snapshot


def _read_parent(self: EBSResponse, size: int) -> tuple[dict[int, str], str | None]:
    """The blocks and the key that a snapshot takes over from its parent, which must be the account's own."""
    if self._get_param("Encrypted") is not None or self._get_param("KmsKeyArn"):
        raise invalid("INVALID_PARAMETER_VALUE", "Encrypted and ParentSnapshotId exclude each other")
    backend, name = _region_backend(self), self._get_param("ParentSnapshotId")
    parent, disk = _snapshot_with_disk(backend.snapshots, name)
    if parent.status != "completed":
        raise invalid("INVALID_SNAPSHOT_ID", f"The parent {name} is {parent.status}, not completed")
    if not parent.kms_key_id and backend.ebs_encryption_by_default:
        raise invalid("INVALID_PARAMETER_VALUE", f"The parent {name} is not encrypted, and encryption is the default")
    if disk.size > size:
        raise invalid("INVALID_VOLUME_SIZE", f"The parent has {disk.size} GiB, more than {size}")
    return disk.blocks, parent.kms_key_id


def _snapshot_key(self: EBSResponse) -> str | None:
    backend, key = _region_backend(self), self._get_param("KmsKeyArn")
    if not self._get_param("Encrypted") and not backend.ebs_encryption_by_default:
        return None
    arn = key_arn(backend, key) if key else default_key_arn(backend)
    if arn is None:
        raise invalid("INVALID_PARAMETER_VALUE", f"There is no key {key} in {self.region}")
    return arn


def put_snapshot_block(self: EBSResponse) -> ActionResult:
    snapshot, disk = _own_snapshot(self)
    index, data = int(self._get_param("BlockIndex")), self._get_param("BlockData")
    if snapshot.status != "pending":
        raise invalid("INVALID_SNAPSHOT_ID", f"{snapshot.id} is {snapshot.status}: it takes no more blocks")
    if not 0 <= index < disk.size * BLOCKS_PER_GIB:
        raise invalid("INVALID_BLOCK", f"Block {index} lies outside {disk.size} GiB")
    if self._get_param("DataLength") != BLOCK_SIZE or len(data) != BLOCK_SIZE:
        raise invalid("INVALID_BLOCK", f"A block has {BLOCK_SIZE} bytes, not {len(data)}")
    digest = hashlib.sha256(data)
    checksum = base64.b64encode(digest.digest()).decode()
    if (self._get_param("ChecksumAlgorithm"), self._get_param("Checksum")) != ("SHA256", checksum):
        raise invalid("INVALID_BLOCK", f"The checksum of block {index} does not match its data")
    _store_block(digest.hexdigest(), data)
    disk.written[index] = digest.hexdigest()
    return ActionResult({"Checksum": checksum, "ChecksumAlgorithm": "SHA256"})


def _store_block(digest: str, data: bytes) -> None:
    path = WORLD.blocks_folder / digest
    if not path.exists():
        part = path.with_suffix(f".{uuid.uuid4().hex}")
        part.write_bytes(data)
        part.replace(path)


def complete_snapshot(self: EBSResponse) -> ActionResult:
    """Answers "pending"; DescribeSnapshots shows the later states."""
    snapshot, disk = _own_snapshot(self)
    changed = int(self._get_param("ChangedBlocksCount"))
    if changed != len(disk.written):
        message = f"{len(disk.written)} blocks were written, ChangedBlocksCount is {changed}"
        raise invalid("INVALID_PARAMETER_VALUE", message)
    if self._get_param("Checksum") and not _checksum_fits(self, disk):
        raise invalid("INVALID_PARAMETER_VALUE", "The aggregated checksum does not match the blocks")
    if snapshot.status == "pending" and snapshot.id not in WORLD.pending:
        snapshots.begin(snapshot)
    return ActionResult({"Status": snapshot.status})


def _checksum_fits(self: EBSResponse, disk: Disk) -> bool:
    """LINEAR: the SHA-256 over the raw digests of the written blocks in index order."""
    digests = b"".join(bytes.fromhex(digest) for _, digest in sorted(disk.written.items()))
    linear = base64.b64encode(hashlib.sha256(digests).digest()).decode()
    names = ("ChecksumAlgorithm", "ChecksumAggregationMethod", "Checksum")
    return [self._get_param(name) for name in names] == ["SHA256", "LINEAR", linear]


def change_blocks(snapshot_id: str, blocks: Mapping[str, str | None]) -> None:
    """Change blocks of a completed snapshot, as nobody can at AWS: base64 by index, null to remove a block."""
    if snapshot_id not in WORLD.disks:
        raise ValueError(f"no snapshot {snapshot_id} has blocks")
    disk = WORLD.disks[snapshot_id]
    changed = disk.blocks
    for index, text in blocks.items():
        changed.pop(int(index), None)
        if text is not None:
            data = base64.b64decode(text, validate=True)
            digest = hashlib.sha256(data).hexdigest()
            _store_block(digest, data)
            changed[int(index)] = digest
    WORLD.disks[snapshot_id] = Disk(disk.size, changed)


def get_snapshot_block(self: EBSResponse) -> ActionResult:
    snapshot, disk = _readable_snapshot(self, self._get_param("SnapshotId"))
    index = int(self._get_param("BlockIndex"))
    digest = disk.blocks.get(index)
    if digest is None:
        raise invalid("INVALID_BLOCK", f"{snapshot.id} has no block {index}")
    if self._get_param("BlockToken") != _block_token(snapshot, index, digest):
        raise invalid("INVALID_BLOCK_TOKEN", f"The token is not that of block {index}")
    return ActionResult(
        {
            "BlockData": (WORLD.blocks_folder / digest).read_bytes(),
            "DataLength": BLOCK_SIZE,
            "Checksum": base64.b64encode(bytes.fromhex(digest)).decode(),
            "ChecksumAlgorithm": "SHA256",
        }
    )


def list_snapshot_blocks(self: EBSResponse) -> ActionResult:
    snapshot, disk = _readable_snapshot(self, self._get_param("SnapshotId"))
    blocks = [
        {"BlockIndex": index, "BlockToken": _block_token(snapshot, index, digest)}
        for index, digest in disk.blocks.items()
    ]
    return _block_page(self, "Blocks", blocks, disk)


def list_changed_blocks(self: EBSResponse) -> ActionResult:
    first, before = _readable_snapshot(self, self._get_param("FirstSnapshotId"))
    second, after = _readable_snapshot(self, self._get_param("SecondSnapshotId"))
    changed = []
    for index in sorted(before.blocks.keys() | after.blocks.keys()):
        old, new = before.blocks.get(index), after.blocks.get(index)
        if old != new:
            tokens = {
                "FirstBlockToken": _block_token(first, index, old),
                "SecondBlockToken": _block_token(second, index, new),
            }
            changed.append({"BlockIndex": index} | {name: token for name, token in tokens.items() if token})
    return _block_page(self, "ChangedBlocks", changed, after)


def _block_page(self: EBSResponse, name: str, blocks: list[dict[str, Any]], disk: Disk) -> ActionResult:
    """At most MaxResults of the blocks; the token of the next page is its first index."""
    start = int(self._get_param("NextToken") or self._get_param("StartingBlockIndex") or 0)
    rest = [block for block in blocks if block["BlockIndex"] >= start]
    limit = int(self._get_param("MaxResults") or MAX_RESULTS)
    page = {name: rest[:limit], "VolumeSize": disk.size, "BlockSize": BLOCK_SIZE}
    return ActionResult(page | ({"NextToken": str(rest[limit]["BlockIndex"])} if len(rest) > limit else {}))


def _block_token(snapshot: Snapshot, index: int, digest: str | None) -> str | None:
    return hashlib.sha256(f"{snapshot.id} {index} {digest}".encode()).hexdigest() if digest else None


def _region_backend(self: EBSResponse) -> EC2Backend:
    return ec2_backends[self.current_account][self.region]


def _own_snapshot(self: EBSResponse) -> tuple[Snapshot, Disk]:
    """The snapshot that a writing call names; only its own account may write to it."""
    return _snapshot_with_disk(_region_backend(self).snapshots, self._get_param("SnapshotId"))


def _readable_snapshot(self: EBSResponse, snapshot_id: str) -> tuple[Snapshot, Disk]:
    """A completed snapshot of this account or shared with it."""
    snapshot, disk = _snapshot_with_disk(snapshots.visible_snapshots(_region_backend(self)), snapshot_id)
    if snapshot.status != "completed":
        raise invalid("INVALID_SNAPSHOT_ID", f"{snapshot_id} is {snapshot.status}, not completed")
    return snapshot, disk


def _snapshot_with_disk(among: dict[str, Snapshot], snapshot_id: str) -> tuple[Snapshot, Disk]:
    if snapshot_id not in among or snapshot_id not in WORLD.disks:
        message = f"The snapshot '{snapshot_id}' does not exist."
        raise EbsError("ResourceNotFoundException", message, "SNAPSHOT_NOT_FOUND")
    return among[snapshot_id], WORLD.disks[snapshot_id]


HANDLERS = (
    start_snapshot,
    put_snapshot_block,
    complete_snapshot,
    get_snapshot_block,
    list_snapshot_blocks,
    list_changed_blocks,
)
