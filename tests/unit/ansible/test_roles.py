"""What every role of ours keeps to, read from its files."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[3]
ANSIBLE = ROOT / "ansible"
ROLES = sorted(path for path in (ANSIBLE / "roles").iterdir() if path.is_dir())
FILES = sorted([ANSIBLE / "bake.yml", *ANSIBLE.glob("roles/*/tasks/*.yml")])
SCRIPTS = sorted([*ROOT.glob("ansible/roles/*/files/*.sh"), *ROOT.glob("packer/**/*.sh")])
TYPES = {"int": int, "str": str, "bool": bool, "list": list, "dict": dict}
every_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ANSIBLE)))


def load(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text())


def tasks(data: Any) -> list[dict[str, Any]]:
    """All tasks of a file, those in blocks included."""
    found: list[dict[str, Any]] = []
    for entry in data or []:
        for part in ("tasks", "block", "rescue", "always"):
            found += tasks(entry.get(part))
        if "block" not in entry and "hosts" not in entry:
            found.append(entry)
    return found


def mentions(value: Any, word: str) -> bool:
    return word in str(value)


@every_role
def test_a_role_documents_its_variables(role: Path) -> None:
    main = load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]
    assert main["short_description"] and main["description"]
    defaults = load(role / "defaults" / "main.yml") if (role / "defaults").exists() else {}
    options = main["options"]
    assert {name: option.get("default") for name, option in options.items()} == defaults
    for name, option in options.items():
        assert name.startswith(f"{role.name}_"), "roles share one set of variables"
        assert option["description"]
        assert isinstance(option["default"], TYPES[option["type"]])


@every_role
def test_a_role_says_in_which_modes_it_works(role: Path) -> None:
    modes = load(role / "meta" / "bakery.yml")["modes"]
    assert modes and set(modes) <= {"vm", "chroot"}


@every_file
def test_every_task_has_a_name_and_a_full_module_name(file: Path) -> None:
    keywords = {
        "name",
        "when",
        "loop",
        "loop_control",
        "register",
        "no_log",
        "changed_when",
        "vars",
        "args",
        "delegate_to",
    }
    for task in tasks(load(file)):
        modules = set(task) - keywords
        assert len(modules) == 1 and next(iter(modules)).count(".") == 2, task
        assert task["name"][0].isupper()


@every_file
def test_no_task_puts_values_into_an_environment(file: Path) -> None:
    """Ansible writes them on the command line of the guest, and prints them when it is verbose."""
    assert "environment:" not in file.read_text()


def test_tasks_that_see_the_password_are_not_logged() -> None:
    main = tasks(load(ANSIBLE / "roles" / "nginx" / "tasks" / "main.yml"))
    seen = [
        task for task in main if mentions(task, "nginx_status_hash.") or mentions(task, "'{{ nginx_status_password }}'")
    ]
    assert len(seen) == 2
    assert all(task["no_log"] is True for task in seen)


def test_the_play_is_one_and_ends_with_the_seal() -> None:
    plays = load(ANSIBLE / "bake.yml")
    assert len(plays) == 1
    assert plays[0]["tasks"][-1]["ansible.builtin.include_role"] == {"name": "seal"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_are_sound(script: Path) -> None:
    shellcheck = Path(sys.executable).parent / "shellcheck"
    result = subprocess.run([shellcheck, "--shell=sh", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
