from pathlib import Path

import pytest

from bakery.host.errors import BakeryError, OutageError
from bakery.layers import releases
from bakery.layers.releases import FETCHER, read_clock, read_state
from bakery.model.bases import Debootstrap

RECIPE = """\
sources = ["deb [signed-by=/k.gpg] {mirror} {suite} main", "deb {mirror} {suite}-security main"]
packages = []
[disk]
size_mib = 1
esp_serial = ""
root_uuid = ""
hash_seed = ""
"""

pytestmark = pytest.mark.skipif(
    not Path(FETCHER[0]).exists(), reason="apt's fetcher is missing: install apt 1.1 or newer to run these"
)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """An archive of two suites, as a folder."""
    for suite in ("stable", "stable-security"):
        folder = tmp_path / "mirror" / "dists" / suite
        folder.mkdir(parents=True)
        (folder / "InRelease").write_text(f"Suite: {suite}\n")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path / "mirror"


def state(mirror: Path, suite: str = "stable") -> tuple[str, ...]:
    spec = Debootstrap.model_construct(suite=suite, mirror=f"file:{mirror}")
    return read_state(spec, mirror.parent)


def test_each_signed_list_counts(mirror: Path) -> None:
    first = state(mirror)
    assert len(set(first)) == 2
    assert state(mirror) == first
    (mirror / "dists" / "stable-security" / "InRelease").write_text("Suite: stable-security\nnewer\n")
    after = state(mirror)
    assert (after[0] == first[0], after[1] == first[1]) == (True, False)


def test_the_clock_is_that_of_the_newest_list(mirror: Path) -> None:
    spec = Debootstrap.model_construct(suite="stable", mirror=f"file:{mirror}")
    assert read_clock(spec, mirror.parent) == 0
    for suite, day in (("stable", 3), ("stable-security", 2)):
        path = mirror / "dists" / suite / "InRelease"
        path.write_text(f"Suite: {suite}\nDate: 0{day} Jan 1970 00:00:01 UTC\n")
    assert read_clock(spec, mirror.parent) == 2 * 86400 + 1


def test_a_release_that_is_not_there(mirror: Path) -> None:
    with pytest.raises(BakeryError, match="has no such list") as caught:
        state(mirror, "unstable")
    assert caught.value.where == f"file:{mirror}/dists/unstable/InRelease"


def test_a_mirror_out_of_reach(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = mirror / "apt.conf"
    at_once.write_text('Acquire::Retries::Delay "false";\n')
    monkeypatch.setattr(releases, "FETCHER", (FETCHER[0], "-c", str(at_once), *FETCHER[1:]))
    spec = Debootstrap(suite="stable", mirror="http://127.0.0.1:9/debian")
    with pytest.raises(OutageError, match="does not answer") as caught:
        read_state(spec, mirror.parent)
    assert "Connection refused" in caught.value.detail
