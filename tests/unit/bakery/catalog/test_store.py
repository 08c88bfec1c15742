from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bakery.catalog import Store, open_store
from bakery.catalog.store import FolderStore, S3Store
from bakery.host.errors import BakeryError, ExitCode, NotFoundError, OutageError, UsageError


class TestContract:
    """What every store promises."""

    def test_is_empty_at_first(self, store: Store) -> None:
        assert store.list("images") == []
        with pytest.raises(NotFoundError, match="not in the catalog") as caught:
            store.read("images/web")
        assert caught.value.where == f"{store.location}/images/web"

    def test_keeps_what_is_created(self, store: Store, location: str) -> None:
        assert store.create("a/b/1.json", b"\x00one")
        assert store.read("a/b/1.json") == b"\x00one"
        assert open_store(location).read("a/b/1.json") == b"\x00one"

    def test_never_overwrites(self, store: Store) -> None:
        assert store.create("a/1.json", b"one")
        assert not store.create("a/1.json", b"two")
        assert not store.create("a/1.json", b"one")
        assert store.read("a/1.json") == b"one"

    def test_lists_names_directly_below(self, store: Store) -> None:
        for key in ("a/1.json", "a/2.json", "a/deep/3.json", "a/deep/er/4.json", "ab/5.json", "b/6.json"):
            store.create(key, b"")
        assert sorted(store.list("a")) == ["1.json", "2.json", "deep"]
        assert sorted(store.list("a/")) == ["1.json", "2.json", "deep"]
        assert store.list("a/deep/er") == ["4.json"]

    def test_hidden_names_are_not_listed(self, store: Store) -> None:
        store.create("a/.DS_Store", b"")
        store.create("b/1.json", b"")
        store.create("b/.hidden", b"")
        assert (store.list("a"), store.list("b")) == ([], ["1.json"])

    @pytest.mark.parametrize("key", ["../outside", "a/../../outside", "/tmp/outside", "a//b", "a/./b", ""])
    def test_nothing_leads_out_of_it(self, store: Store, key: str, tmp_path: Path) -> None:
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / "1.json").write_text("{}")
        assert store.list(key) == []
        with pytest.raises(NotFoundError):
            store.read(f"{key}/1.json")
        with pytest.raises(BakeryError, match="not a valid path in the catalog"):
            store.create(f"{key}/2.json", b"x")
        assert [path.name for path in (tmp_path / "outside").iterdir()] == ["1.json"]

    def test_lists_more_than_a_page(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "7")  # S3 itself gives 1,000 names in an answer
        names = [f"{number:02}" for number in range(20)]
        for name in names:
            store.create(f"many/{name}", b"")
            store.create(f"deep/{name}/0.json", b"")
        assert sorted(store.list("many")) == names
        assert sorted(store.list("deep")) == names

    def test_one_of_many_writers_wins(self, store: Store) -> None:
        contents = [str(number).encode() for number in range(32)]
        with ThreadPoolExecutor(16) as pool:
            won = list(pool.map(lambda content: store.create("a/1.json", content), contents))
        assert won.count(True) == 1
        assert store.read("a/1.json") == contents[won.index(True)]

    def test_location_opens_it_again(self, store: Store) -> None:
        store.create("a/1.json", b"one")
        assert open_store(store.location).read("a/1.json") == b"one"


class TestFolder:
    def test_interrupted_writer_leaves_nothing_that_counts(self, tmp_path: Path) -> None:
        folder = tmp_path / "images" / "web" / "x86_64" / "versions" / "1.0.0"
        folder.mkdir(parents=True)
        (folder / ".000000.json.0a1b2c3d").write_bytes(b"{")
        store = FolderStore(tmp_path)
        assert store.list("images/web/x86_64/versions") == []
        assert store.create("images/web/x86_64/versions/1.0.0/000000.json", b"{}")
        assert store.list("images/web/x86_64/versions") == ["1.0.0"]

    def test_place_that_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        store = open_store(str(tmp_path / "file"))
        calls: tuple[Callable[[], object], ...] = (
            lambda: store.list("images"),
            lambda: store.read("images/web"),
            lambda: store.create("images/web", b""),
        )
        for call in calls:
            with pytest.raises(BakeryError, match=r"cannot be (read|written)") as caught:
                call()
            assert caught.value.where.startswith(f"{tmp_path}/file")


class TestS3:
    def test_prefix_is_part_of_the_key(self, bucket: str) -> None:
        open_store(f"s3://{bucket}/team/bakery/").create("a/1.json", b"one")
        whole = open_store(f"s3://{bucket}")
        assert whole.read("team/bakery/a/1.json") == b"one"
        assert whole.list("team") == ["bakery"]
        assert whole.location == f"s3://{bucket}"

    def test_folder_made_in_the_console_is_no_name(self, bucket: str, s3: Any) -> None:
        s3.put_object(Bucket=bucket, Key="images/", Body=b"")
        assert open_store(f"s3://{bucket}").list("images") == []

    def test_bucket_that_does_not_exist(self, bucket: str) -> None:
        store = open_store(f"s3://{bucket}-gone")
        calls: tuple[Callable[[], object], ...] = (
            lambda: store.list("images"),
            lambda: store.read("images/web"),
            lambda: store.create("images/web", b""),
        )
        for call in calls:
            with pytest.raises(BakeryError, match="the catalog bucket does not exist") as caught:
                call()
            assert caught.value.hint == "deploy the distribution stack first"
            assert caught.value.where.startswith(f"s3://{bucket}-gone/images")

    @pytest.fixture
    def new_session(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As in a process of its own: boto3 keeps what it once found out about credentials."""
        monkeypatch.setattr("boto3.DEFAULT_SESSION", None)

    @pytest.mark.usefixtures("new_session")
    def test_profile_that_does_not_exist(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_PROFILE", "nobody")
        with pytest.raises(BakeryError, match="the catalog cannot be used") as caught:
            open_store("s3://bakery-catalog/x")
        assert (caught.value.where, "nobody" in caught.value.detail) == ("s3://bakery-catalog/x", True)

    @pytest.mark.usefixtures("new_session")
    def test_no_credentials(self) -> None:
        with pytest.raises(BakeryError, match="the catalog cannot be used") as caught:
            open_store("s3://bakery-catalog").list("images")
        assert "credentials" in caught.value.detail
        assert "AWS_PROFILE" in caught.value.hint
        assert caught.value.exit_code == ExitCode.FAILED, "trying again is of no use"

    def test_nobody_answers(self, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from botocore.exceptions import EndpointConnectionError

        store = open_store(f"s3://{bucket}/x")
        _fail_with(monkeypatch, EndpointConnectionError(endpoint_url="http://127.0.0.1:9"))
        with pytest.raises(OutageError, match="the catalog cannot be reached") as caught:
            store.list("images")
        assert caught.value.where == f"s3://{bucket}/x/images"
        assert "http://127.0.0.1:9" in caught.value.detail
        assert "AWS_ENDPOINT_URL" in caught.value.hint

    @pytest.mark.parametrize(
        ("code", "message", "ends"),
        [
            ("AccessDenied", "no access to the catalog", ExitCode.FAILED),
            ("ExpiredToken", "no access to the catalog", ExitCode.FAILED),
            ("SlowDown", "the catalog cannot be reached", ExitCode.TRY_AGAIN),
            ("InvalidBucketName", "the catalog cannot be used", ExitCode.FAILED),
        ],
    )
    def test_refused(
        self, bucket: str, monkeypatch: pytest.MonkeyPatch, code: str, message: str, ends: ExitCode
    ) -> None:
        store = open_store(f"s3://{bucket}")
        _answer_with(monkeypatch, code)
        with pytest.raises(BakeryError, match=message) as caught:
            store.create("images/web", b"")
        assert code in caught.value.detail
        assert caught.value.hint
        assert caught.value.exit_code == ends

    def test_writer_that_was_there_at_the_same_time(self, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        store = open_store(f"s3://{bucket}")
        _answer_with(monkeypatch, "ConditionalRequestConflict")
        assert not store.create("images/web", b"")


def _answer_with(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let every call to AWS be answered with an error code."""
    from botocore.exceptions import ClientError

    _fail_with(monkeypatch, ClientError({"Error": {"Code": code, "Message": "no"}}, "Any"))


def _fail_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let every call to AWS fail."""
    from botocore.client import BaseClient

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(BaseClient, "_make_api_call", fail)


def test_kind_follows_from_the_location(tmp_path: Path, bucket: str) -> None:
    assert isinstance(open_store(str(tmp_path)), FolderStore)
    assert isinstance(open_store(f"s3://{bucket}/x"), S3Store)


@pytest.mark.parametrize("location", ["s3:/b/x", "s3:b/x", "S3://b/x", "s3://", "s3:///x", "gs://b/x", "file:///tmp/x"])
def test_another_scheme_is_no_folder(location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="is not a location of a catalog") as caught:
        open_store(location)
    assert "s3://BUCKET/PREFIX" in caught.value.hint


@pytest.mark.parametrize("location", ["catalog", "./s3:", "../a:b", "/a/b:c", "C", "a/b:c"])
def test_a_folder_may_have_a_colon_in_it(location: str) -> None:
    assert open_store(location).location == str(Path(location))
