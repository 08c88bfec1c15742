import json
from pathlib import Path

import pytest

from bakery.clouds.definitions import load
from bakery.host.errors import BakeryError, UsageError
from bakery.model import documents
from bakery.model.contents import Contents, Package
from bakery.model.lock import Lock, list_versions, load_lock

TEXT = """\
name: web
description: A page
os: debian-12
arch: x86_64
version: "1.0"
base: {qemu: {debootstrap: {suite: bookworm}}}
"""
AWS = """\
targets: [aws]
distribution: {aws: {regions: [us-east-1]}}
"""


def write(folder: Path, *lines: str) -> Path:
    path = folder / "web.yaml"
    path.write_text(TEXT + "".join(f"{line}\n" for line in lines))
    return path


def test_preferences_hold_each_package() -> None:
    lock = Lock({}, {"openssl": "3.0.17-1", "libc6:i386": "2.36-9"})
    assert lock.preferences == (
        "Package: libc6:i386\nPin: version 2.36-9\nPin-Priority: 1001\n"
        "\n"
        "Package: openssl\nPin: version 3.0.17-1\nPin-Priority: 1001\n"
    )


def test_a_lock_is_a_package_per_line() -> None:
    lines = documents.dump(Lock({"http://a/debian": "http://a/1/debian"}, {"a": "1", "b": "2"})).decode().splitlines()
    assert lines[1:8] == [
        '  "archives": {',
        '    "http://a/debian": "http://a/1/debian"',
        "  },",
        '  "packages": {',
        '    "a": "1",',
        '    "b": "2"',
        "  },",
    ]


def test_a_definition_says_whether_it_has_a_lock(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert load_lock(load(tmp_path).images["web"], path) is None
    write(tmp_path, "package_versions: pinned")
    definition = load(tmp_path).images["web"]
    with pytest.raises(UsageError, match="web has no lock, but package_versions is pinned") as failure:
        load_lock(definition, path)
    assert (failure.value.where, failure.value.hint) == (f"{path}:7", "run 'bakery update web'")
    lock = Lock({}, {"a": "1"})
    documents.save(lock, tmp_path / "web.lock.json")
    assert load_lock(definition, path) == lock


def test_a_damaged_lock_is_made_again(tmp_path: Path) -> None:
    path = write(tmp_path, "package_versions: offline")
    (tmp_path / "web.lock.json").write_text(json.dumps({"archives": {}, "packages": {"a": 1}}))
    with pytest.raises(BakeryError, match="not a valid lock document") as failure:
        load_lock(load(tmp_path).images["web"], path)
    assert failure.value.hint == "it is damaged: remove it and run 'bakery update web'"


@pytest.mark.parametrize(
    ("lines", "message", "line"),
    [
        (["updates: security"], "updates: the lock decides what a bake upgrades, but updates is security", 8),
        (["updates: none"], "updates: the lock decides what a bake upgrades, but updates is none", 8),
    ],
)
def test_what_a_lock_cannot_hold_is_refused(tmp_path: Path, lines: list[str], message: str, line: int) -> None:
    path = write(tmp_path, "package_versions: pinned", *lines)
    with pytest.raises(UsageError) as failure:
        load(tmp_path)
    assert (failure.value.where, failure.value.message) == (f"{path}:{line}", message)


def test_another_family_has_no_lock(tmp_path: Path) -> None:
    path = write(tmp_path, "package_versions: pinned")
    path.write_text(path.read_text().replace("debian-12", "rocky-9"))
    with pytest.raises(UsageError, match="only images of Debian's family can have a lock"):
        load(tmp_path)


def test_an_image_that_packer_builds_elsewhere_has_no_lock(tmp_path: Path) -> None:
    path = write(tmp_path, "package_versions: pinned", *AWS.splitlines())
    base = "base: {aws: {ami: {name: debian-12-*, owner: amazon}}}"
    path.write_text(path.read_text().replace("base: {qemu: {debootstrap: {suite: bookworm}}}", base))
    with pytest.raises(UsageError) as failure:
        load(tmp_path)
    assert "no lock holds the packages of the image that Packer builds at aws" in failure.value.message


def test_packages_have_the_names_of_apt() -> None:
    packages = tuple(
        Package(name, version, architecture, name, "")
        for name, version, architecture in [
            ("dpkg", "1.21", "amd64"),
            ("tzdata", "2025b", "all"),
            ("libc6", "2.36", "amd64"),
            ("libc6", "2.36", "i386"),
        ]
    )
    contents = Contents("web", "x86_64", "1.0.0", "d", 1, "Debian", packages, (), (), "")
    assert list_versions(contents) == {"dpkg": "1.21", "tzdata": "2025b", "libc6": "2.36", "libc6:i386": "2.36"}
