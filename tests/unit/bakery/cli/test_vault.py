"""`bakery vault check`: what is shown, and how it ends."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bakery.errors import BakeryError
from bakery.vault import Vault
from unit.bakery.cli.workshop import Workshop

SECRETS = """\
secrets:
  nginx_password: {path: secret/data/web, key: password}
  nginx_user: {path: secret/data/web, key: user}
"""


class Opened:
    """A session in which one secret has one key."""

    address = "http://127.0.0.1:8200"

    def engines(self) -> dict[str, str]:
        return {"secret/": "kv-v2"}

    def read(self, path: str, key: str) -> str:
        if (path, key) != ("secret/data/web", "password"):
            raise BakeryError(f"the secret {path} has no key '{key}'", hint="did you mean 'password'?")
        return "canary-0815"


@pytest.fixture
def logins(bakery: Workshop) -> list[str]:
    """A Vault to log in to; each login is noted."""
    found: list[str] = []

    @contextmanager
    def login(env: Any) -> Iterator[Opened]:
        found.append(env.get("VAULT_ADDR", ""))
        yield Opened()

    bakery.monkeypatch.setattr(Vault, "login", login)
    return found


def test_a_row_for_each_and_a_message(bakery: Workshop, logins: list[str]) -> None:
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
        "error: 1 of 2 things that definitions name in Vault cannot be had\n"
        "hint: mend them before a build; nothing was started\n"
    )


def test_all_is_well(bakery: Workshop, logins: list[str]) -> None:
    bakery.edit("web", "tests:", f"{SECRETS.replace('key: user', 'key: password')}tests:")
    answer = bakery("vault", "check", "web")
    assert (answer.code, answer.err) == (0, "")
    assert "WRONG" not in answer.out
    assert logins == [""]


def test_json(bakery: Workshop, logins: list[str]) -> None:
    bakery.edit("web", "tests:", f"{SECRETS}tests:")
    answer = bakery("vault", "check", "--json")
    good, bad = json.loads(answer.out)
    assert good == {
        "where": "packer/images/web.yaml:15",
        "image": "web",
        "name": "secrets.nginx_password",
        "path": "secret/data/web",
        "found": "can be read",
        "problem": "",
        "hint": "",
    }
    assert (bad["found"], bad["problem"]) == ("", "the secret secret/data/web has no key 'user'")
    assert answer.code == 1


@pytest.mark.parametrize("arguments", [(), ("base",)])
def test_nothing_to_check(bakery: Workshop, logins: list[str], arguments: tuple[str, ...]) -> None:
    answer = bakery("vault", "check", *arguments)
    assert answer.out == "nothing to check: no definition names anything in Vault\n"
    assert (answer.code, logins) == (0, [])


def test_nothing_to_check_and_a_vault(bakery: Workshop, logins: list[str]) -> None:
    bakery.monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:8200")
    answer = bakery("vault", "check")
    assert answer.out.startswith("login works at http://127.0.0.1:8200; nothing to check")
    assert json.loads(bakery("vault", "check", "--json").out) == []
    assert (answer.code, len(logins)) == (0, 2)


def test_a_login_that_fails(bakery: Workshop) -> None:
    bakery.edit("web", "tests:", f"{SECRETS}tests:")
    bakery.broken = {"login"}
    answer = bakery("vault", "check")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "error: here:1: login failed\nhint: mend it\n"


@pytest.mark.parametrize("arguments", [("vault",), ("vault", "chek"), ("vault", "check", "wbe")])
def test_a_wrong_command_line(bakery: Workshop, arguments: tuple[str, ...]) -> None:
    assert bakery(*arguments).code == 64
