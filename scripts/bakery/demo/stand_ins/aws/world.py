"""The strict layer's own state beside moto's; saved and restored with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from moto.ssm.models import Parameter


@dataclass(frozen=True)
class Settings:
    """The delays of this cloud; `POST /_double/settings` changes them."""

    pending_reads: int = 1  # DescribeImages or DescribeSnapshots answers that still say "pending"
    parameter_reads: int = 1  # reads of an `aws:ec2:image` parameter that still give the old value
    image_outcome: str = "available"  # how registering and copying end: "available" or "failed"
    clock_ahead: float = 0.0  # seconds by which this cloud's clock is ahead of the machine's
    session_seconds: float | None = None  # the longest life of a session of a role
    consistency_calls: int = 0  # calls that do not see a new image, snapshot or parameter
    consistency_seconds: float = 0.0  # how long no call sees it


@dataclass
class Pending:
    """An image or snapshot on its way to the state `outcome`."""

    reads_left: int
    outcome: str
    copied: bool = False  # whether it counts as a concurrent copy


@dataclass(frozen=True)
class Remembered:
    """A request with a client token, and the ID of the resource that it made."""

    request: str
    resource_id: str


@dataclass(frozen=True)
class Disk:
    """The blocks of one snapshot: index → SHA-256 in hex; `written` came through this snapshot itself."""

    size: int  # GiB
    inherited: dict[int, str]
    written: dict[int, str] = field(default_factory=dict)

    @property
    def blocks(self) -> dict[int, str]:
        return dict(sorted({**self.inherited, **self.written}.items()))


@dataclass
class PendingParameter:
    """A version of a typed parameter that was accepted but not validated yet."""

    version: Parameter
    reads_left: int
    permitted: bool = True  # whether the writer may describe images


@dataclass
class Unseen:
    """A new resource that calls do not see until both have passed."""

    calls_left: int
    until: datetime


@dataclass(frozen=True)
class Retained:
    """An image or snapshot in the Recycle Bin, and the time of its end there."""

    kind: str  # as in a rule
    resource: Any  # moto's
    entered: datetime
    leaves: datetime


@dataclass
class Report:
    """A report on the use of an image; `usage` counts by account and type of resource."""

    image_id: str
    types: Mapping[str, Mapping[str, list[str]]]  # options by type of resource
    accounts: list[str]
    created: datetime
    usage: dict[tuple[str, str], int]
    tags: dict[str, str]
    state: str = "pending"


@dataclass
class World:
    blocks_folder: Path = Path()
    settings: Settings = field(default_factory=Settings)
    pending: dict[str, Pending] = field(default_factory=dict)  # by image or snapshot ID
    tokens: dict[tuple[str, ...], Remembered] = field(default_factory=dict)  # action, account, region, token
    disks: dict[str, Disk] = field(default_factory=dict)  # by snapshot ID
    parameters: dict[tuple[str, str, str], PendingParameter] = field(default_factory=dict)  # account, region, name
    sharing: dict[tuple[str, str, str], str] = field(default_factory=dict)  # account, region, image or snapshot
    retention: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)  # account, region, rule
    bin: dict[tuple[str, str, str], Retained] = field(default_factory=dict)  # account, region, image or snapshot
    refreshes: dict[tuple[str, str, str], list[dict[str, Any]]] = field(default_factory=dict)  # account, region, group
    launches: dict[str, list[datetime]] = field(default_factory=dict)  # by image ID, oldest first
    starts: dict[str, datetime] = field(default_factory=dict)  # by instance ID
    reports: dict[tuple[str, str, str], Report] = field(default_factory=dict)  # account, region, report
    unseen: dict[tuple[str, str, str, str], Unseen] = field(default_factory=dict)  # kind, account, region, name
    policies: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)  # statements by ARN of the role

    def now(self) -> datetime:
        """The time in this cloud: periods of a day or a year pass by setting its clock."""
        return datetime.now(UTC) + timedelta(seconds=self.settings.clock_ahead)

    def forget(self) -> None:
        """Reset to a new world, with the same folder of blocks."""
        vars(self).update(vars(World(self.blocks_folder)))


WORLD = World()
