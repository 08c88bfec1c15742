"""Keep the failures of images in the catalog, so that every machine can pause an image that fails night after night.

A notice of each is sent as well, if the environment names recipients.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from bakery.engine.notices import announce_failure
from bakery.engine.session import Session
from bakery.host.errors import BakeryError, ConflictError, DiskError, NotFoundError, OutageError, UsageError
from bakery.host.events import Event
from bakery.host.parallel import is_interrupted
from bakery.model.definition import ImageDefinition

# These say nothing about the image: a service is out of order, this machine's disk is full, another run works on it, or
# nothing was started.
_NOT_OF_THE_IMAGE = (OutageError, DiskError, ConflictError, UsageError, NotFoundError)


@contextmanager
def record_failures(session: Session, image: ImageDefinition, step: str, input_key: str) -> Iterator[None]:
    """Keep an error of the block as a failure of the image, and raise it."""
    try:
        yield
    except _NOT_OF_THE_IMAGE:
        raise
    except BakeryError as error:
        if is_interrupted():
            raise
        keep_failure(session, image, step, input_key, error.message)
        raise


def keep_failure(session: Session, image: ImageDefinition, step: str, input_key: str, message: str) -> None:
    """Keep a failure of an image and announce it. A note says if that fails: its own error is what a user has to see.

    A failure counts for `max_failures` while the inputs of the image have this key.
    """
    try:
        failure = session.catalog.keep_failure(image.name, image.arch, step, input_key, message)
        announce_failure(session, image, failure)
    except BakeryError as error:
        session.report(Event("note", step, image.name, f"the failure is not in the catalog: {error.message}"))
