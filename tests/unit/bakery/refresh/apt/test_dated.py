from datetime import UTC, datetime

import pytest

from bakery.host.errors import UsageError
from bakery.refresh.apt.dated import VARIABLE, date_archives, use_dated
from bakery.refresh.apt.sources import Source

DATE = datetime(2026, 11, 29, 12, 0, 5, tzinfo=UTC)
DEBIAN = "http://deb.debian.org/debian"


@pytest.mark.parametrize(
    ("address", "dated"),
    [
        (DEBIAN, "http://snapshot.debian.org/archive/debian/20261129T120005Z"),
        (f"https{DEBIAN[4:]}", "http://snapshot.debian.org/archive/debian/20261129T120005Z"),
        ("http://security.ubuntu.com/ubuntu", "http://snapshot.ubuntu.com/ubuntu/20261129T120005Z"),
        ("http://repository.example/debian", "http://repository.example/debian"),
    ],
)
def test_well_known_archives_have_dated_ones(monkeypatch: pytest.MonkeyPatch, address: str, dated: str) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert date_archives([f"{address}/"], DATE) == {address: dated}


def test_own_archives_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"http://mirror/x=http://mirror/{{date:%Y}}/x/ {DEBIAN}=http://m/{{date:%Y%m%d}}/d")
    assert date_archives([DEBIAN, "http://mirror/x"], DATE) == {
        DEBIAN: "http://m/20261129/d",
        "http://mirror/x": "http://mirror/2026/x",
    }


@pytest.mark.parametrize(
    "word",
    [
        "http://mirror/debian",
        "http://mirror/debian=http://mirror/today/debian",
        "http://mirror/debian=http://mirror/{day}/debian",
        "http://mirror/debian=http://user:password@mirror/{date:%Y}/debian",
        "mirror=http://mirror/{date:%Y}/debian",
    ],
)
def test_a_word_that_names_no_dated_archive_is_refused(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv(VARIABLE, word)
    with pytest.raises(UsageError, match="names no dated archive") as failure:
        date_archives([], DATE)
    assert "{date:%Y%m%d}" in failure.value.hint


def test_only_a_dated_source_has_no_end() -> None:
    source = Source(f"{DEBIAN}/", "bookworm", ("main",), (("Signed-By", "/key"),))
    dated = use_dated(source, {DEBIAN: "http://dated/debian"})
    assert dated.uri == "http://dated/debian"
    assert dated.options == (("Check-Valid-Until", "no"), ("Signed-By", "/key"))
    assert use_dated(source, {DEBIAN: DEBIAN}) == source
    assert use_dated(source, {}) == source
