"""The place in a definition that a failed task comes from."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.bake import packer
from bakery.host.errors import BakeryError
from doubles.packer import PackerProject, define

DEFINITION = """\
name: web
os: OS
software:
  packages:
    - jq
    - nosuchpkg=1.2*
  roles:
    - name: base
    - name: nginx
      vars:
        nginx_port: 99999
        nginx_modules:
          - nginx-module-none
"""
PACKAGES = ("jq", "nosuchpkg=1.2*")
ROLES = (
    {"name": "base"},
    {"name": "nginx", "vars": {"nginx_port": 99999, "nginx_modules": ["nginx-module-none"]}},
)
OPEN = "ansible/roles/nginx/tasks/main.yml:7"


def fail(world: PackerProject, task: str, result: Mapping[str, object], os: str = "debian-12") -> BakeryError:
    """The error of a bake that ends at a task."""
    file = world.project.definitions / "other-name.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(DEFINITION.replace("OS", os))
    lines = [f"TASK [{task}] ****", f"Origin: {OPEN}:3", f"fatal: [image]: FAILED! => {json.dumps(result)}"]
    world.packer(f"ansible(*{lines!r}); sys.exit(1)")
    definition = define(os=os, software={"packages": PACKAGES, "roles": ROLES})
    with pytest.raises(BakeryError) as caught:
        packer.build(replace(world.job(definition), definition_file=file), {}, [])
    return caught.value


def place(world: PackerProject, line: int) -> str:
    return f"{world.project.definitions}/other-name.yaml:{line}"


@pytest.mark.parametrize(
    "message",
    [
        "No package matching 'nosuchpkg' is available",
        "no available installation candidate for nosuchpkg=1.2*",
        "'apt-get install' failed: E: Unable to locate package nosuchpkg",
        "'apt-get install' failed: E: Package 'nosuchpkg' has no installation candidate",
    ],
)
def test_a_package_that_the_archive_lacks(world: PackerProject, message: str) -> None:
    error = fail(world, "Install packages", {"msg": message})
    assert error.message == f"task 'Install packages' failed: {message}"
    assert error.where == place(world, 6)
    assert error.hint.startswith("no archive of the image has nosuchpkg")
    assert error.hint.endswith(
        ": look the name up at https://packages.debian.org/search?keywords=nosuchpkg, "
        "or with 'apt-cache search nosuchpkg' on debian-12"
    )


def test_packages_that_dnf_does_not_find(world: PackerProject) -> None:
    """Its message names none; a list beside it does."""
    failures = ["No package nosuchpkg available.", "No package other available."]
    result = {"msg": "Failed to install some of the specified packages", "failures": failures}
    error = fail(world, "Install packages", result, os="rocky-9")
    assert (error.where, error.detail) == (place(world, 6), "\n".join(failures))
    assert error.hint == (
        "no archive of the image has nosuchpkg and other: look the name up with 'dnf search nosuchpkg' on rocky-9"
    )


def test_a_package_in_the_variables_of_a_role(world: PackerProject) -> None:
    error = fail(world, "nginx : Install modules", {"msg": "No package matching 'nginx-module-none' is available"})
    assert error.where == place(world, 13)
    assert "keywords=nginx-module-none" in error.hint


def test_a_package_that_a_role_names_itself(world: PackerProject) -> None:
    error = fail(world, "nginx : Install", {"msg": "No package matching 'nginx-none' is available"})
    assert error.where == OPEN
    assert "keywords=nginx-none" in error.hint


def test_a_variable_that_the_message_names(world: PackerProject) -> None:
    task = "nginx : Validating arguments against arg spec 'main'"
    error = fail(world, task, {"msg": "Validation of arguments failed:\nvalue of nginx_port must be one of: 80, 443"})
    assert error.where == place(world, 11)
    assert error.hint == f"check the value of nginx_port, or the task at {OPEN}; the log has the whole play"


@pytest.mark.parametrize(("role", "line"), [("base", 8), ("nginx", 10)])
def test_a_role_that_fails_for_another_reason(world: PackerProject, role: str, line: int) -> None:
    error = fail(world, f"{role} : Restart", {"msg": "non-zero return code of my_nginx_port_2"})
    assert error.where == OPEN
    variables = f"the variables of the role {role} at {place(world, line)}"
    assert error.hint == f"check the task, and {variables}; the log has the whole play"


def test_a_role_that_the_definition_does_not_name(world: PackerProject) -> None:
    error = fail(world, "seal : Remove the key", {"msg": "non-zero return code"})
    assert (error.where, error.hint) == (OPEN, "check the task's role and its variables; the log has the whole play")


def test_a_definition_that_was_edited_meanwhile(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda _: b"a: [")
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "a: [")
    file = world.project.definitions / "web.yaml"
    assert replace(world.job(define()), definition_file=file).where("name") == str(file)
