"""The question for the bytes of an image that a cloud holds."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from bakery.clouds.phases import ReportProgress
from bakery.host.errors import ConflictError
from bakery.machine.block_stream import BlockStream
from bakery.model.distribution import CloudDistribution
from bakery.model.documents import ImageLocation


class OtherDiskError(ConflictError):
    """An image has another disk than its record says, or one more."""


@dataclass(frozen=True)
class ReadRequest:
    """The disk of an image at a location.

    `settings` are the target's in the definition, None for a reader who has no definition. `credentials` are the fields
    of the target's secret, empty if the environment logs in. `store` is the folder of the local target, and `scratch`
    one for what a cloud gives as files.
    """

    location: ImageLocation
    settings: CloudDistribution | None
    credentials: Mapping[str, str] = field(repr=False)
    store: Path
    scratch: Path
    report_progress: ReportProgress


# The block ends what the reading needs at the cloud. BakeryError if a disk cannot be read, or not whole.
OpenDisk = Callable[[ReadRequest], AbstractContextManager[BlockStream]]
