"""The places that a database may come from, as far as no grype is needed."""

from pathlib import Path

import pytest

from bakery.host.errors import UsageError
from bakery.vulnerabilities import UnknownVulnerabilitiesError, open_database
from doubles.programs import Programs


@pytest.fixture
def grype(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A grype that reports what it was given and fails."""
    programs = Programs(tmp_path / "bin", monkeypatch)
    programs.shell("grype", 'echo "cannot get $GRYPE_DB_UPDATE_URL" >&2; exit 1')
    return tmp_path / "bin" / "grype"


@pytest.mark.parametrize("source", ["database.db", "ftp://mirror.example/databases"])
def test_a_source_that_does_not_exist(tmp_path: Path, grype: Path, source: str) -> None:
    with pytest.raises(UsageError, match="BAKERY_VULNERABILITY_DATABASE names no file, folder") as caught:
        open_database(source, grype, tmp_path / "cache")
    assert caught.value.where == source


def test_the_login_of_a_mirror_is_not_shown(tmp_path: Path, grype: Path) -> None:
    with pytest.raises(UnknownVulnerabilitiesError) as caught:
        open_database("https://reader:hid%40den@mirror.example/databases", grype, tmp_path / "cache")
    assert caught.value.where == "https://mirror.example/databases"
    assert "hid" not in caught.value.detail
    assert caught.value.detail.startswith("cannot get https://reader:")
