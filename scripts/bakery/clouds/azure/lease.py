"""The lease on a blob that is being written: it ends by itself if the run is killed."""

import time
from concurrent.futures import Future, wait
from contextlib import suppress

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.blob import BlobClient, BlobLeaseClient

from bakery.host.errors import ConflictError
from bakery.host.waiting import wait_until

SECONDS = 60  # the longest lease that expires by itself
RENEW_SECONDS = 20.0  # two renewals may fail before it is lost
PATIENCE_SECONDS = SECONDS + 15.0  # by then the lease of a killed run has ended; a living one renews it


class Lease:
    """A lease that this run holds until `release`, if it is kept alive."""

    def __init__(self, client: BlobLeaseClient) -> None:
        self._client = client
        self._renewed = time.monotonic()

    @property
    def id(self) -> str:
        """Every write names the lease, and fails if another run holds the blob by now."""
        return str(self._client.id)

    def keep_until(self, work: Future[None]) -> None:
        """Wait for `work` and renew meanwhile."""
        while True:
            if time.monotonic() - self._renewed > RENEW_SECONDS:
                self._client.renew()
                self._renewed = time.monotonic()
            if wait([work], timeout=RENEW_SECONDS).done:
                return

    def release(self) -> None:
        """Release the lease for other runs. A lost lease, or one that cannot be released, expires by itself."""
        with suppress(AzureError):
            self._client.release()


def acquire(blob: BlobClient) -> Lease:
    """Acquire the lease as soon as it is free; ConflictError if another run keeps writing."""

    def attempt() -> Lease | None:
        client = BlobLeaseClient(blob)
        try:
            client.acquire(lease_duration=SECONDS)
        except ResourceExistsError:  # 409, LeaseAlreadyPresent
            return None
        return Lease(client)

    lease = wait_until(attempt, PATIENCE_SECONDS)
    if lease is None:
        raise ConflictError(
            "another run uploads this disk", where=str(blob.url), hint="wait for it to end, or stop it, and run again"
        )
    return lease
