"""Both kinds of store, so that one set of tests holds for both."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakery.catalog import Catalog, Store, open_store
from bakery.signing import Keyring

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def s3() -> Iterator[Any]:
    """A client of a stand-in for S3 in this process; starting it for each test would take most of their time."""
    import boto3
    from moto import mock_aws
    from moto.s3.responses import S3Response

    # S3 looks and writes in one step; moto in two, between which another thread can write.
    one_at_a_time, put = threading.Lock(), S3Response.put_object

    def put_object(self: Any) -> Any:
        with one_at_a_time:
            return put(self)

    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setattr(S3Response, "put_object", put_object)
        yield boto3.client("s3", "us-east-1")


@pytest.fixture
def bucket(s3: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket, and credentials for it."""
    name = f"bakery-catalog-{next(NUMBERS)}"
    s3.create_bucket(Bucket=name)
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return name


@pytest.fixture(params=["folder", "s3"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store is."""
    if request.param == "folder":
        return str(tmp_path / "catalog")
    return f"s3://{request.getfixturevalue('bucket')}/team/bakery/"


@pytest.fixture
def store(location: str) -> Store:
    return open_store(location)


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    """The key of a workspace."""
    return Keyring(tmp_path / "keys", {})


@pytest.fixture
def catalog(store: Store, keyring: Keyring) -> Catalog:
    return Catalog(store, keyring)
