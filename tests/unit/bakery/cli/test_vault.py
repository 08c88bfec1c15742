"""`bakery vault check` and `exec`: what is shown, and how they end."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bakery.host.errors import BakeryError
from bakery.host.vault import Vault
from unit.bakery.cli.cli_runner import CliRunner

SECRETS = """\
secrets:
  nginx_password: {path: secret/data/web, key: password}
  nginx_user: {path: secret/data/web, key: user}
"""


class FakeSession:
    """A session in which one secret has one key."""

    address = "http://127.0.0.1:8200"

    def engines(self) -> dict[str, str]:
        return {"secret/": "kv-v2"}

    def read(self, path: str, key: str) -> str:
        if (path, key) != ("secret/data/web", "password"):
            raise BakeryError(f"the secret {path} has no key '{key}'", hint="did you mean 'password'?")
        return "canary-0815"

    def fields(self, path: str) -> dict[str, str]:
        return {"access_key": "AKIA", "secret_key": "canary-4711", "path": path}


@pytest.fixture
def logins(bakery: CliRunner) -> list[str]:
    """A Vault to log in to; each login is noted."""
    found: list[str] = []

    @contextmanager
    def login(env: Any) -> Iterator[FakeSession]:
        found.append(env.get("VAULT_ADDR", ""))
        yield FakeSession()

    bakery.monkeypatch.setattr(Vault, "login", login)
    return found


def test_a_row_for_each_and_a_message(bakery: CliRunner, logins: list[str]) -> None:
    bakery.edit("web", "tests:", f"{SECRETS}tests:")
    answer = bakery("vault", "check")
    assert answer.code == 1
    assert answer.out == (
        "       WHERE                      NAMED BY                PATH             RESULT\n"
        "ok     packer/images/web.yaml:15  secrets.nginx_password  secret/data/web  can be read\n"
        "WRONG  packer/images/web.yaml:16  secrets.nginx_user      secret/data/web  "
        "the secret secret/data/web has no key 'user': did you mean 'password'?\n"
        "\n"
        "login works at http://127.0.0.1:8200\n"
    )
    assert answer.err == (
        "error: 1 of 2 secrets, logins and keys of Vault cannot be used\n"
        "hint: fix them before a build; nothing was started\n"
    )


def test_all_is_well(bakery: CliRunner, logins: list[str]) -> None:
    bakery.edit("web", "tests:", f"{SECRETS.replace('key: user', 'key: password')}tests:")
    answer = bakery("vault", "check", "web")
    assert (answer.code, answer.err) == (0, "")
    assert "WRONG" not in answer.out
    assert logins == [""]


def test_json(bakery: CliRunner, logins: list[str]) -> None:
    bakery.edit("web", "tests:", f"{SECRETS}tests:")
    answer = bakery("vault", "check", "--json")
    good, bad = json.loads(answer.out)
    assert good == {
        "where": "packer/images/web.yaml:15",
        "image": "web",
        "name": "secrets.nginx_password",
        "path": "secret/data/web",
        "answer": "can be read",
        "problem": "",
        "hint": "",
    }
    assert (bad["answer"], bad["problem"]) == ("", "the secret secret/data/web has no key 'user'")
    assert answer.code == 1


@pytest.mark.parametrize("arguments", [(), ("base",)])
def test_nothing_to_check(bakery: CliRunner, logins: list[str], arguments: tuple[str, ...]) -> None:
    answer = bakery("vault", "check", *arguments)
    assert answer.out == "nothing to check: no definition names anything in Vault\n"
    assert (answer.code, logins) == (0, [])


def test_nothing_to_check_for_a_duty(bakery: CliRunner) -> None:
    bakery.edit("web", "tests: [base]", "tests: [base]\nsecrets: {token: {path: secret/data/web, key: token}}")
    answer = bakery("vault", "check", "--duty", "apply")
    assert answer.out == "nothing to check: no definition names anything in Vault for the duty apply\n"


def test_nothing_to_check_and_a_vault(bakery: CliRunner, logins: list[str]) -> None:
    bakery.monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:8200")
    answer = bakery("vault", "check")
    assert answer.out.startswith("login works at http://127.0.0.1:8200; nothing to check")
    assert json.loads(bakery("vault", "check", "--json").out) == []
    assert (answer.code, len(logins)) == (0, 2)


def test_a_login_that_fails(bakery: CliRunner) -> None:
    bakery.edit("web", "tests:", f"{SECRETS}tests:")
    bakery.broken = {"login"}
    answer = bakery("vault", "check")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "error: here:1: login failed\nhint: mend it\n"


@pytest.mark.parametrize("duty", [(), ("--duty", "apply")])
def test_what_terraform_logs_in_with_is_checked_too(
    bakery: CliRunner, logins: list[str], duty: tuple[str, ...]
) -> None:
    bakery.monkeypatch.setenv("BAKERY_APPLY_CREDENTIALS", "secret/data/apply")
    answer = bakery("vault", "check", *duty, "--json")
    (found,) = json.loads(answer.out)
    assert (found["where"], found["path"]) == ("BAKERY_APPLY_CREDENTIALS", "secret/data/apply")
    assert found["problem"].startswith("the secret secret/data/apply has no key 'access_key'")
    assert answer.code == 1


def test_other_duties_do_not_ask_for_it(bakery: CliRunner, logins: list[str]) -> None:
    bakery.monkeypatch.setenv("BAKERY_APPLY_CREDENTIALS", "secret/data/apply")
    assert bakery("vault", "check", "--duty", "publish").code == 0


SHOW = ("sh", "-c", "env | grep -E '^AWS_(REGION|ACCESS|SECRET|SESSION|WEB|ROLE)' | sort")


def test_a_command_gets_what_vault_lends_and_nothing_older(bakery: CliRunner, logins: list[str]) -> None:
    bakery.monkeypatch.setenv("PATH", os.defpath)
    bakery.monkeypatch.setenv("AWS_REGION", "eu-central-1")
    bakery.monkeypatch.setenv("AWS_ACCESS_KEY_ID", "machine")
    bakery.monkeypatch.setenv("AWS_SESSION_TOKEN", "machine's, for another key")
    for name in ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME"):
        bakery.monkeypatch.setenv(name, "of the job's own token")
    answer = bakery("vault", "exec", "--credentials", "aws/sts/apply", "--", *SHOW)
    assert answer.out.splitlines() == [
        "AWS_ACCESS_KEY_ID=AKIA",
        "AWS_REGION=eu-central-1",
        "AWS_SECRET_ACCESS_KEY=<redacted>",
    ]
    assert (answer.code, answer.err, len(logins)) == (0, "", 1)


def test_without_a_path_a_command_keeps_what_it_has(bakery: CliRunner, logins: list[str]) -> None:
    bakery.monkeypatch.setenv("PATH", os.defpath)
    bakery.monkeypatch.setenv("AWS_ACCESS_KEY_ID", "machine")
    answer = bakery("vault", "exec", *SHOW)
    assert (answer.code, answer.out, logins) == (0, "AWS_ACCESS_KEY_ID=machine\n", [])


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 1)])
def test_exec_ends_as_its_command_does(bakery: CliRunner, logins: list[str], script: str, code: int) -> None:
    bakery.monkeypatch.setenv("PATH", os.defpath)
    bakery.monkeypatch.setenv("BAKERY_APPLY_CREDENTIALS", "aws/sts/apply")
    assert bakery("vault", "exec", "--", "sh", "-c", script).code == code


def test_without_a_login_no_command_is_started(bakery: CliRunner) -> None:
    bakery.broken = {"login"}
    bakery.monkeypatch.setenv("PATH", os.defpath)
    answer = bakery("vault", "exec", "--credentials", "aws/sts/apply", "--", "touch", "started")
    assert (answer.code, answer.err) == (1, "error: here:1: login failed\nhint: mend it\n")
    assert not (bakery.project.root / "started").exists()


@pytest.mark.parametrize(
    "arguments", [("vault",), ("vault", "chek"), ("vault", "check", "wbe"), ("vault", "exec"), ("vault", "exec", "--")]
)
def test_a_wrong_command_line(bakery: CliRunner, arguments: tuple[str, ...]) -> None:
    assert bakery(*arguments).code == 64
