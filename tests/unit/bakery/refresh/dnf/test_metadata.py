from dataclasses import replace
from pathlib import Path

import pytest

from bakery.host import process
from bakery.host.errors import BakeryError, OutageError
from bakery.refresh.archives import Archives, explain_failure
from bakery.refresh.dnf.metadata import FAILURES, describe_request, has_advisories, identify, map_keys
from bakery.refresh.dnf.repositories import Repository
from bakery.refresh.dnf.root import Root

KEY = "/etc/pki/rpm-gpg/RPM-GPG-KEY-example"
OPTIONS = {
    "baseurl": "https://dl.example/9/",
    "excludepkgs": "kernel*",
    "gpgkey": f"file://{KEY} https://dl.example/key",
    "repo_gpgcheck": "1",
}
REPOSITORY = Repository("baseos", tuple(OPTIONS.items()))
REPOMD = """\
<repomd xmlns="http://linux.duke.edu/metadata/repo">
<data type="primary"><timestamp>1767225600</timestamp></data>
<data type="{kind}"><timestamp>1767225601</timestamp></data>
</repomd>
"""


def change(**options: str) -> Repository:
    return replace(REPOSITORY, options=tuple({**OPTIONS, **options}.items()))


@pytest.fixture
def root(tmp_path: Path) -> Root:
    path = tmp_path / KEY.lstrip("/")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a key")
    return Root(tmp_path, tmp_path)


def test_all_that_decides_what_an_archive_gives_is_in_its_identity(root: Root) -> None:
    identity = identify(REPOSITORY, root)
    assert identify(change(excludepkgs="other"), root) == identity, "excludes come after the lists"
    others = [change(baseurl="https://dl.example/8/"), change(repo_gpgcheck="0"), replace(REPOSITORY, name="other")]
    assert identity not in [identify(other, root) for other in others]
    (root.folder / KEY.lstrip("/")).write_bytes(b"another key")
    assert identify(REPOSITORY, root) != identity


def test_keys_are_taken_from_the_private_root(root: Root) -> None:
    assert map_keys(REPOSITORY, root) == f"file://{root.folder.resolve()}{KEY} https://dl.example/key"
    assert map_keys(change(repo_gpgcheck="0"), root) == ""
    for name in ("/etc/pki/gone", "/../outside"):
        with pytest.raises(BakeryError, match="is not in the package database") as error:
            map_keys(change(gpgkey=f"file://{name}"), root)
        assert error.value.where == name


def test_notices_are_in_the_list_of_an_archive() -> None:
    assert has_advisories(REPOMD.format(kind="updateinfo").encode())
    assert not has_advisories(REPOMD.format(kind="modules").encode())


def test_a_machine_without_dnf_is_no_fault_of_an_archive(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "which", lambda *_: None)
    archives = Archives(tmp_path / "cache", tmp_path / "scratch")
    with pytest.raises(BakeryError, match="dnf is not installed") as error:
        archives.fetch(describe_request(REPOSITORY, root))
    assert error.value.hint == "run 'bakery doctor' to see what is missing"


@pytest.mark.parametrize(
    ("output", "message", "kind"),
    [
        ("repomd.xml GPG signature verification error: Bad GPG signature", "no valid signature", BakeryError),
        ("Failed to retrieve GPG key for repo 'baseos': Curl error (6): ...", "be reached", OutageError),
        ("  - Status code: 403 for https://dl.example/9/repodata/repomd.xml (IP: ::1)", "refuses", BakeryError),
        ("  - Status code: 404 for https://dl.example/9/repodata/repomd.xml (IP: ::1)", "no list at", BakeryError),
        (
            "  - Status code: 404 for https://dl.example/9/repodata/0a-primary.xml.gz (IP: x)",
            "middle of",
            OutageError,
        ),
        ("  - Status code: 503 for https://dl.example/9/repodata/repomd.xml (IP: ::1)", "be reached", OutageError),
        ("  - Curl error (28): Timeout was reached for https://dl.example/9/", "cannot be reached", OutageError),
        ("Cannot prepare internal mirrorlist: Curl error (6): Couldn't resolve host", "be reached", OutageError),
        ("Cannot prepare internal mirrorlist: Status code: 404 for https://m.example/", "no list at", BakeryError),
        ("some other words", "cannot be read", BakeryError),
    ],
)
def test_a_failure_of_dnf_is_explained(output: str, message: str, kind: type[BakeryError]) -> None:
    error = explain_failure(FAILURES, "https://dl.example/9/ baseos", f"{output}\nError: all mirrors", output)
    assert error.message.startswith("the archive https://dl.example/9/ baseos ")
    assert message in error.message
    assert (type(error), bool(error.hint)) == (kind, True)
