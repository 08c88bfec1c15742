"""What is wrong with a definition's software is known before anything starts."""

from pathlib import Path
from typing import Any

import pytest

from bakery.bake import check_mode, check_roles
from bakery.errors import UsageError
from doubles.packer import World, define, make_world

SPECS = """
argument_specs:
  main:
    options:
      nginx_port: {type: int}
      nginx_message: {type: str}
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = make_world(tmp_path, monkeypatch)
    made.role("nginx", {"meta/argument_specs.yml": SPECS})
    made.role("kernel")
    return made


def where(*keys: str | int) -> str:
    return "web.yaml: " + ".".join(map(str, keys))


def use(*roles: dict[str, Any]) -> dict[str, Any]:
    return {"software": {"roles": list(roles)}}


def refused(world: World, **changes: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        check_roles(world.project, define(**changes), where)
    return caught.value


def test_a_good_definition(world: World) -> None:
    check_roles(world.project, define(), where)
    check_mode(world.project, define(mode="chroot"), where)


def test_a_role_that_is_not_there(world: World) -> None:
    error = refused(world, **use({"name": "nginx"}, {"name": "kernle"}))
    assert (error.message, error.where) == ("no role named 'kernle'", "web.yaml: software.roles.1.name")
    assert error.hint == "did you mean 'kernel'?"


def test_a_role_like_no_other(world: World) -> None:
    assert refused(world, **use({"name": "postgres"})).hint.endswith("roles/postgres/tasks/main.yml")


def test_a_variable_that_the_role_does_not_know(world: World) -> None:
    error = refused(world, **use({"name": "nginx", "vars": {"nginx_prot": 80}}))
    assert (error.message, error.hint) == ("the role nginx has no variable 'nginx_prot'", "did you mean 'nginx_port'?")
    assert error.where == "web.yaml: software.roles.0.vars.nginx_prot"


def test_a_role_without_argument_specs_takes_any_variable(world: World) -> None:
    check_roles(world.project, define(**use({"name": "kernel", "vars": {"anything": 1}})), where)


@pytest.mark.parametrize("name", ["path", "home", "ansible_config", "vault_token", "ld_preload"])
def test_a_secret_that_would_be_taken_for_a_setting(world: World, name: str) -> None:
    error = refused(world, secrets={name: {"path": "secret/data/web", "key": "x"}})
    assert error.where == f"web.yaml: secrets.{name}"
    assert name.upper() in error.message


def test_chroot_mode_is_for_roles_that_say_so(world: World) -> None:
    definition = define(mode="chroot", **use({"name": "nginx"}, {"name": "kernel"}))
    with pytest.raises(UsageError) as caught:
        check_mode(world.project, definition, where)
    assert caught.value.message == "the role kernel is not declared fit for mode chroot"
    assert caught.value.where == "web.yaml: software.roles.1.name"
    assert "mode: vm" in caught.value.hint


def test_every_role_works_in_a_guest(world: World) -> None:
    check_mode(world.project, define(**use({"name": "kernel"})), where)
