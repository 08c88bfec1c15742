"""What every role of ours keeps to, read from its files."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jinja2 import StrictUndefined, Template
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[3]
ANSIBLE = ROOT / "ansible"
ROLES = sorted(path for path in (ANSIBLE / "roles").iterdir() if path.is_dir())
PLAYS = sorted(ANSIBLE.glob("playbooks/bake*.yml"))
FILES = [*PLAYS, *sorted(ANSIBLE.glob("roles/*/tasks/*.yml"))]
SCRIPTS = sorted([*ROOT.glob("ansible/roles/*/files/*.sh"), *ROOT.glob("packer/**/*.sh")])
TYPES = {"int": int, "str": str, "bool": bool, "list": list, "dict": dict}
FAMILIES = ("Debian", "RedHat", "Windows")
LINUX = {"Debian", "RedHat"}
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
    optional = {name: option for name, option in options.items() if not option.get("required")}
    assert {name: option["default"] for name, option in optional.items()} == defaults
    for name, option in options.items():
        assert name.startswith(f"{role.name}_"), "roles share one set of variables"
        assert option["description"]
        assert option["type"] in TYPES
    for option in optional.values():
        assert isinstance(option["default"], TYPES[option["type"]])


@every_role
def test_a_role_says_in_which_modes_it_works(role: Path) -> None:
    modes = load(role / "meta" / "bakery.yml")["modes"]
    assert modes and set(modes) <= {"vm", "chroot"}


@every_role
def test_a_role_says_on_which_families_it_works(role: Path) -> None:
    """And has the variables of each, the same ones, if they differ."""
    declared = load(role / "meta" / "bakery.yml")
    families = declared["families"]
    assert families and set(families) <= set(FAMILIES)
    assert "Windows" not in families or (families == ["Windows"] and declared["modes"] == ["vm"])
    differing = {path.stem: load(path) for path in sorted(role.glob("vars/*.yml"))}
    included = 'include_vars: "{{ ansible_facts.os_family }}.yml"' in (role / "tasks" / "main.yml").read_text()
    assert set(differing) == (set(families) if included else set())
    names = {name for variables in differing.values() for name in variables}
    assert all(name.startswith(f"{role.name}_") for name in names)
    missing = {(family, name) for family, variables in differing.items() for name in names - set(variables)}
    # Only where tasks ask whether it is there.
    assert missing <= {("Debian", "nginx_selinux_ports")}


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.name)
def test_a_play_is_sound(play: Path) -> None:
    """Each role is read by Ansible, with every module that it names."""
    windows = play.stem == "bake-windows"
    fit = [role.name for role in ROLES if ("Windows" in load(role / "meta" / "bakery.yml")["families"]) == windows]
    roles = [f"- {{ansible.builtin.import_role: {{name: {name}}}}}" for name in fit]
    assert roles
    checked = "- hosts: all\n  tasks:\n  " + "\n  ".join(roles) + f"\n- import_playbook: {play}\n"
    playbook = Path(sys.executable).parent / "ansible-playbook"
    command: list[str | Path] = [playbook, "--syntax-check", "--inventory", "image,", "/dev/stdin"]
    result = subprocess.run(
        command,
        input=checked,
        capture_output=True,
        text=True,
        env={"ANSIBLE_ROLES_PATH": str(ANSIBLE / "roles"), "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
    )
    assert result.returncode == 0, result.stderr


@every_file
def test_packages_are_installed_by_whatever_the_family_has(file: Path) -> None:
    """But a package in a file, which ansible.builtin.package does not take on Debian, and those of an apt archive."""
    for task in tasks(load(file)) if file.name != "package.yml" and "apt_archive" not in file.parts else ():
        assert not {"ansible.builtin.apt", "ansible.builtin.dnf", "ansible.builtin.yum"} & set(task)


def test_how_packages_are_installed_is_said_once() -> None:
    (play,) = load(ANSIBLE / "playbooks" / "bake.yml")
    defaults = play["module_defaults"]
    assert defaults["ansible.builtin.apt"]["install_recommends"] is False
    assert defaults["ansible.builtin.dnf"] == {"install_weak_deps": False}


def test_what_runs_on_the_controller_gets_no_privilege_and_changes_nothing() -> None:
    """Builds in a cloud run Ansible with --become, which holds for delegated tasks too."""
    delegated = [task for file in FILES for task in tasks(load(file)) if "delegate_to" in task]
    assert len(delegated) == 8
    for task in delegated:
        assert task["delegate_to"] == "localhost"
        assert task["become"] is False
        assert task["changed_when"] is False


# The form of nginx.conf in the package of Red Hat and its kin: one server, and one that is commented out.
STOCK = """\
http {
    include /etc/nginx/conf.d/*.conf;

    server {
        listen       80 default_server;
        include /etc/nginx/default.d/*.conf;

        error_page 404 /404.html;
        location = /404.html {
        }
    }

#    server {
#        listen       443 ssl http2;
#    }

}
"""


def test_red_hats_welcome_site_is_taken_out_of_the_main_file() -> None:
    main = tasks(load(ANSIBLE / "roles" / "nginx" / "tasks" / "main.yml"))
    (pattern,) = [task["ansible.builtin.replace"]["regexp"] for task in main if "ansible.builtin.replace" in task]
    without = re.sub(pattern, "", STOCK, flags=re.MULTILINE)
    assert "default_server" not in without
    assert without.splitlines() == [*STOCK.splitlines()[:3], *STOCK.splitlines()[11:]]
    assert re.sub(pattern, "", without, flags=re.MULTILINE) == without


@pytest.mark.parametrize(("family", "root"), [("Debian", "/var/www/html"), ("RedHat", "/usr/share/nginx/html")])
def test_nginx_serves_from_where_its_family_may(family: str, root: str) -> None:
    role = ANSIBLE / "roles" / "nginx"
    given = load(role / "defaults" / "main.yml") | load(role / "vars" / f"{family}.yml")
    site = Template((role / "templates" / "site.conf.j2").read_text(), undefined=StrictUndefined)
    assert f"    root {root};\n" in site.render(**given, nginx_status_password="")


def test_the_application_runs_in_its_environment_as_its_user() -> None:
    role = ANSIBLE / "roles" / "python_app"
    unit = Template((role / "templates" / "app.service.j2").read_text(), undefined=StrictUndefined)
    lines = unit.render(
        python_app_name="shop", python_app_command="gunicorn shop:app", python_app_requirements=[]
    ).splitlines()
    assert "ExecStart=/opt/shop/venv/bin/gunicorn shop:app" in lines
    assert {"User=shop", "StateDirectory=shop", "ConditionDirectoryNotEmpty=/opt/shop/src"} <= set(lines)


def test_the_password_of_windows_comes_from_the_environment() -> None:
    (play,) = load(ANSIBLE / "playbooks" / "bake-windows.yml")
    assert play["vars"]["ansible_password"] == "{{ lookup('ansible.builtin.env', 'BUILD_PASSWORD') }}"


def test_windows_update_is_off_from_the_updates_to_the_end_of_the_build() -> None:
    (play,) = load(ANSIBLE / "playbooks" / "bake-windows.yml")
    services = [
        (number, task["ansible.windows.win_service"]["start_mode"])
        for number, task in enumerate(play["tasks"])
        if "ansible.windows.win_service" in task
    ]
    assert "ansible.windows.win_updates" in play["tasks"][0]
    assert services == [(1, "disabled"), (len(play["tasks"]) - 1, "manual")]


@every_file
def test_every_task_has_a_name_and_a_full_module_name(file: Path) -> None:
    keywords = {
        *("name", "when", "loop", "loop_control", "register", "no_log", "changed_when", "vars", "args"),
        *("delegate_to", "become", "until", "retries", "delay"),
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
    plays = load(ANSIBLE / "playbooks" / "bake.yml")
    assert len(plays) == 1
    assert plays[0]["tasks"][-1]["ansible.builtin.include_role"] == {"name": "seal"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_are_sound(script: Path) -> None:
    shellcheck = Path(sys.executable).parent / "shellcheck"
    result = subprocess.run([shellcheck, "--shell=sh", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_the_image_test_of_web_knows_the_hash_that_the_role_makes() -> None:
    """openssl chooses the salt, from more characters than a hexadecimal number has."""
    (pattern,) = re.findall(r'fullmatch\(r"(status:.*)", content\)', (ROOT / "packer/tests/test_web.py").read_text())
    for _ in range(5):
        made = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=b"secret\n", capture_output=True, check=True)
        assert re.fullmatch(pattern, f"status:{made.stdout.decode()}")


@pytest.mark.parametrize(
    "file", [*FILES, *sorted(ANSIBLE.glob("playbooks/*/*.yml"))], ids=lambda file: str(file.relative_to(ANSIBLE))
)
def test_no_lost_output_of_a_command_counts_as_empty(file: Path) -> None:
    """Ansible's modules lose it at times (ansible/ansible #51393); a task tries again, or is a raw one."""
    found = tasks(load(file))
    for task in found:
        if {"ansible.builtin.command", "ansible.builtin.shell", "ansible.builtin.script"} & set(task):
            output = f"{task.get('register')}.stdout"
            if any(mentions(other, output) for other in found if other is not task):
                assert mentions(task.get("until"), output), task["name"]
