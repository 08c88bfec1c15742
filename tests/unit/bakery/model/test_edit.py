"""Definitions are changed line by line, and only if the result says what was asked for."""

import difflib
from pathlib import Path

import pytest

from bakery.host.errors import UsageError
from bakery.model import edit

HEAD = '# ours\nname: web\nversion: "1.9" # the third number is counted\nbase:\n  qemu: {image: debian-12}  # small\n'
TAIL = '\n# who pays\ntags: {team: "web"}\n'

# software as users write it -> the lines that differ after `jq` was added
ADDED = {
    "no software": ("", ["+software: {packages: [jq]}"]),
    "no packages": (
        "software:\n    # first\n    roles:\n    - name: nginx\n",
        ["+    packages: [jq]"],
    ),
    "no packages, in braces": (
        "software: {roles: []}\n",
        ["-software: {roles: []}", "+software: {packages: [jq], roles: []}"],
    ),
    "nothing in braces": ("software: {}\n", ["-software: {}", "+software: {packages: [jq]}"]),
    "an empty list": ("software:\n  packages: [ ]\n", ["-  packages: [ ]", "+  packages: [jq ]"]),
    "a list in brackets": (
        "software:\n  packages: [ 'curl',git ] # why\n",
        ["-  packages: [ 'curl',git ] # why", "+  packages: [ 'curl',git, jq ] # why"],
    ),
    "brackets over lines": (
        "software:\n  packages: [\n    curl, # why\n    git\n  ]\n",
        ["-    git", "+    git, jq"],
    ),
    "a list with dashes": ("software:\n  packages:\n  - curl # why\n  - git # too\n", ["+  - jq"]),
    "deeper dashes": ("software:\n  packages:\n      - curl\n  roles: []\n", ["+      - jq"]),
}  # fmt: skip

# software -> the package to take out, and the lines that differ then
REMOVED = {
    "the first in brackets": ("software:\n  packages: [curl, git] # why\n", "curl", ["+  packages: [git] # why"]),
    "the last in brackets": ("software:\n  packages: [curl, git]\n", "git", ["+  packages: [curl]"]),
    "one in the middle": ("software:\n  packages: [curl, git, jq]\n", "git", ["+  packages: [curl, jq]"]),
    "the only one": ("software:\n  packages: [curl]\n", "curl", ["+  packages: []"]),
    "one with a dash": ("software:\n  packages:\n  - curl # why\n  - git\n", "curl", ["-  - curl # why"]),
    "the last dash": (
        "software:\n  packages: # few\n  - curl\n",
        "curl",
        ["-  packages: # few", "-  - curl", "+  packages: [] # few"],
    ),
    "one with its version": ("software:\n  packages: [git=1:2.39-1, jq]\n", "git=1:2.39-1", ["+  packages: [jq]"]),
}


def write(folder: Path, software: str) -> tuple[Path, str]:
    path = folder / "web.yaml"
    path.write_bytes((HEAD + software + TAIL).encode())
    return path, edit.read(path)


def difference(before: str, after: str) -> list[str]:
    lines = list(difflib.unified_diff(before.split("\n"), after.split("\n"), n=0, lineterm=""))
    return [line for line in lines[2:] if not line.startswith("@@")]


@pytest.mark.parametrize("form", ADDED)
def test_a_package_is_added(form: str, tmp_path: Path) -> None:
    software, changed = ADDED[form]
    path, before = write(tmp_path, software)
    assert difference(before, edit.add_package(path, before, "jq")) == changed
    assert edit.read(path) == before, "nothing is written here"


@pytest.mark.parametrize("form", ADDED)
def test_two_packages_are_added_and_taken_out(form: str, tmp_path: Path) -> None:
    path, before = write(tmp_path, ADDED[form][0])
    text = edit.add_package(path, edit.add_package(path, before, "jq"), "zip=3.0-13")
    text = edit.remove_package(path, edit.remove_package(path, text, "jq"), "zip=3.0-13")
    assert len(difference(before, text)) <= 2


@pytest.mark.parametrize("form", REMOVED)
def test_a_package_is_taken_out(form: str, tmp_path: Path) -> None:
    software, name, changed = REMOVED[form]
    path, before = write(tmp_path, software)
    found = difference(before, edit.remove_package(path, before, name))
    assert [line for line in found if line in changed] == changed
    assert len(found) <= len(changed) + 1


@pytest.mark.parametrize("quote", ['"', "'"])
def test_the_version_is_changed_in_its_own_quotes(quote: str, tmp_path: Path) -> None:
    path, before = write(tmp_path, "")
    before = before.replace('"1.9"', f"{quote}1.9{quote}")
    changed = difference(before, edit.set_version(path, before, "1.10"))
    assert changed[1] == f"+version: {quote}1.10{quote} # the third number is counted"
    assert len(changed) == 2


@pytest.mark.parametrize("form", ADDED)
def test_line_ends_of_windows_stay(form: str, tmp_path: Path) -> None:
    path, text = write(tmp_path, ADDED[form][0])
    path.write_bytes(text.replace("\n", "\r\n").encode())
    after = edit.add_package(path, edit.read(path), "jq")
    assert after.count("\n") == after.count("\r\n")
    assert after.replace("\r\n", "\n") == edit.add_package(path, text, "jq")


def test_a_file_without_a_line_end_at_its_end(tmp_path: Path) -> None:
    path, _ = write(tmp_path, "")
    text = "name: web\nbase: {}\nsoftware:\n  packages:\n  - curl"
    assert edit.add_package(path, text, "jq") == f"{text}\n  - jq"
    assert edit.remove_package(path, f"{text}\n  - jq", "jq") == f"{text}\n"


@pytest.mark.parametrize("name", ["jq", "jq=1.6"])
def test_a_package_that_is_there(name: str, tmp_path: Path) -> None:
    path, text = write(tmp_path, "software:\n  packages:\n  - curl\n  - jq\n")
    with pytest.raises(UsageError) as caught:
        edit.add_package(path, text, name)
    assert caught.value.message == "the package 'jq' is already listed"
    assert caught.value.where == f"{path}:9"


def test_a_package_that_is_not_there(tmp_path: Path) -> None:
    path, text = write(tmp_path, "software:\n  packages: [curl, jq=1.6]\n")
    for name, hint in (("crul", "did you mean 'curl'?"), ("jq", ""), ("zip", "")):
        with pytest.raises(UsageError, match=f"the package '{name}' is not listed") as caught:
            edit.remove_package(path, text, name)
        assert caught.value.hint == hint


@pytest.mark.parametrize("name", ["", "jq=", "=1", "a b", "a,b", "-y", "jq]", "'jq'", "jq #", "jq==1", "jq\n"])
def test_what_is_no_name(name: str, tmp_path: Path) -> None:
    path, text = write(tmp_path, "")
    with pytest.raises(UsageError, match="is not the name of a package"):
        edit.add_package(path, text, name)


@pytest.mark.parametrize(
    "software",
    ["x: &list [curl]\nsoftware: {packages: *list}\n", "software:\n  <<: {packages: [curl]}\n"],
    ids=["alias", "merge"],
)
def test_what_one_line_cannot_change(software: str, tmp_path: Path) -> None:
    path, text = write(tmp_path, software)
    with pytest.raises(UsageError, match="its YAML style is not supported"):
        edit.add_package(path, text, "jq")


def test_a_name_that_yaml_takes_for_something_else(tmp_path: Path) -> None:
    path, text = write(tmp_path, "")
    with pytest.raises(UsageError, match="its YAML style is not supported"):
        edit.add_package(path, text, "0x10")
