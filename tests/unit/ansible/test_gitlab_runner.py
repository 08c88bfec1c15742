"""The runner's program at boot: configuration without a token, and a token, become a configuration."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "ansible/roles/gitlab_runner/files/gitlab-runner-configure.sh"
TEMPLATE = 'concurrent = 1\n[[runners]]\ntoken = "@TOKEN@"\nname = "a \\" \\\\ % $HOME `id`"\n'
# Stands in for the program of the role fetch_parameter, which has tests of its own.
FETCH = '#!/bin/sh\n[ "$1" != /none ] || exit 1\nprintf "glrt-of%s\\n" "$1" | tr / -\n'

Configure = Callable[[], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "etc"
    place.mkdir()
    (place / "config.toml.template").write_text(TEMPLATE)
    return place


@pytest.fixture
def configure(tmp_path: Path, folder: Path) -> Configure:
    program = tmp_path / "bin" / "bakery-fetch-parameter"
    program.parent.mkdir()
    program.write_text(FETCH)
    program.chmod(0o755)

    def run() -> "subprocess.CompletedProcess[str]":
        environment = {"PATH": f"{program.parent}:/usr/bin:/bin"}
        return subprocess.run(["sh", SCRIPT, folder], env=environment, capture_output=True, text=True, timeout=10)

    return run


def test_secrets_are_fetched_and_the_token_put_in(folder: Path, configure: Configure) -> None:
    (folder / "secrets").write_text("token /prod/token\nworker.key /prod/key\n")
    done = configure()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (folder / "config.toml").read_text() == TEMPLATE.replace("@TOKEN@", "glrt-of-prod-token")
    assert (folder / "worker.key").read_text() == "glrt-of-prod-key\n"


def test_only_root_may_read_what_it_writes(folder: Path, configure: Configure) -> None:
    (folder / "secrets").write_text("token /prod/token\n")
    assert configure().returncode == 0
    for name in ("config.toml", "token"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600


def test_it_may_run_again_with_a_new_token(folder: Path, configure: Configure) -> None:
    for name in ("old", "new"):
        (folder / "secrets").write_text(f"token /{name}\n")
        assert configure().returncode == 0
    assert 'token = "glrt-of-new"' in (folder / "config.toml").read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["config.toml", "config.toml.template", "secrets", "token"]


def test_a_token_that_somebody_brought_is_enough(folder: Path, configure: Configure) -> None:
    (folder / "token").write_text("glrt-brought.01.x_y-z\n")
    assert configure().returncode == 0
    assert 'token = "glrt-brought.01.x_y-z"' in (folder / "config.toml").read_text()


def test_a_secret_that_cannot_be_had_changes_nothing(folder: Path, configure: Configure) -> None:
    (folder / "config.toml").write_text("as before")
    (folder / "token").write_text("glrt-before")
    (folder / "secrets").write_text("token /none\n")
    assert configure().returncode != 0
    assert (folder / "config.toml").read_text() == "as before"
    assert (folder / "token").read_text() == "glrt-before"


@pytest.mark.parametrize("token", ['glrt-"\nexecutor = "shell', "glrt with spaces", "glrt-$(id)"])
def test_what_is_no_token_is_refused_and_not_repeated(folder: Path, configure: Configure, token: str) -> None:
    (folder / "token").write_text(token)
    done = configure()
    assert done.returncode == 1
    assert "holds no runner token" in done.stderr
    assert "glrt" not in done.stderr
    assert not (folder / "config.toml").exists()


def test_without_a_token_it_says_where_it_belongs(folder: Path, configure: Configure) -> None:
    done = configure()
    assert done.returncode == 1
    assert f"{folder}/token is missing" in done.stderr


def test_a_template_without_a_place_for_the_token_is_refused(folder: Path, configure: Configure) -> None:
    (folder / "token").write_text("glrt-x")
    (folder / "config.toml.template").write_text("concurrent = 1\n")
    done = configure()
    assert done.returncode == 1
    assert "has no @TOKEN@" in done.stderr
