"""Packages of definitions are looked up in their archives before a bake."""

from collections.abc import Callable

import pytest

from bakery.engine import packages
from bakery.engine.packages import find_missing_packages
from bakery.host.errors import OutageError, UsageError, raise_all
from bakery.refresh import Archives
from unit.bakery.cli.cli_runner import CliRunner

Find = Callable[[bytes, Archives, list[str]], dict[str, str]]


@pytest.fixture
def baked(bakery: CliRunner) -> CliRunner:
    """The image `base` with known packages, and `web` that is due on it."""
    bakery.packages = {"base": {"openssl": "3.0.17-1"}, "web": {"openssl": "3.0.17-1"}}
    bakery.line("base")
    return bakery


def answer(monkeypatch: pytest.MonkeyPatch, find: Find) -> list[tuple[bytes, list[str]]]:
    """Answer for the package archives; what they were asked."""
    questions: list[tuple[bytes, list[str]]] = []

    def note(database: bytes, archives: Archives, names: list[str]) -> dict[str, str]:
        questions.append((database, names))
        return find(database, archives, names)

    monkeypatch.setattr(packages, "find_missing", note)
    return questions


def check(bakery: CliRunner, listed: str) -> None:
    """Look up the packages of `web`, which are written as a YAML list."""
    bakery.edit("web", "software:\n", f"software:\n  packages: {listed}\n")
    session = bakery.session()
    action = next(action for action in session.plan(["web"]).actions if action.image == "web")
    raise_all(
        [error for _, error in find_missing_packages(session, [(session.definitions.images["web"], action.inputs)])]
    )


def test_a_package_that_no_archive_has_is_an_error_of_its_line(
    baked: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, lambda *_: {"ngnix": "did you mean 'nginx'?", "zz=1.2*": ""})
    with pytest.raises(UsageError) as caught:
        check(baked, "\n  - curl\n  - ngnix\n  - zz=1.2*")
    file = baked.project.definitions / "web.yaml"
    line = file.read_text().splitlines().index("  - ngnix") + 1
    assert caught.value.message == "no archive of web has the package ngnix"
    assert (caught.value.where, caught.value.hint) == (f"{file}:{line}", "did you mean 'nginx'?")
    (second,) = caught.value.others
    assert (second.message, second.where) == ("no archive of web has the package zz=1.2*", f"{file}:{line + 1}")


def test_the_parents_archives_are_asked(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = answer(monkeypatch, lambda *_: {})
    check(baked, '[curl, "g++=4:12*", "@development"]')
    assert questions == [(b"packages of base 1.0.0", ["curl", "g++=4:12*", "@development"])]


def test_archives_that_do_not_answer_stop_nothing(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> dict[str, str]:
        raise OutageError("the archive http://deb.debian.org/debian trixie cannot be reached")

    answer(monkeypatch, refuse)
    check(baked, "[curl]")
    assert baked.events[-1].text.startswith("packages are not looked up: the archive http://deb.debian.org")


def test_an_image_without_packages_asks_nobody(baked: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = answer(monkeypatch, lambda *_: {})
    check(baked, "[]")
    assert questions == []


@pytest.mark.parametrize("verb", ["run", "bake"])
def test_nothing_is_baked_after_it(baked: CliRunner, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    answer(monkeypatch, lambda *_: {"ngnix": ""})
    baked.edit("web", "software:\n", "software:\n  packages: [ngnix]\n")
    before = list(baked.did)
    assert baked(verb, "web").code == 64
    assert baked.did == before
