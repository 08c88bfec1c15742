"""What is wrong with a definition's software is known before anything starts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bakery.bake import check_mode, check_roles
from bakery.bake.roles import OF_PLAYBOOKS
from bakery.bake.variables import ansible_variables
from bakery.host.errors import UsageError
from bakery.model.definition import FAMILIES
from bakery.model.resources import SHIPPED
from doubles.packer import PackerProject, define, make_world

SPECS = """
argument_specs:
  main:
    options:
      nginx_port: {type: int}
      nginx_message: {type: str}
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackerProject:
    made = make_world(tmp_path, monkeypatch)
    made.role("nginx", {"meta/argument_specs.yml": SPECS})
    made.role("kernel")
    return made


def where(*keys: str | int) -> str:
    return "web.yaml: " + ".".join(map(str, keys))


def use(*roles: dict[str, Any]) -> dict[str, Any]:
    return {"software": {"roles": list(roles)}}


def refused(world: PackerProject, **changes: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        check_roles(world.project, define(**changes), where)
    return caught.value


def test_a_good_definition(world: PackerProject) -> None:
    check_roles(world.project, define(), where)
    check_mode(world.project, define(mode="chroot"), where)


def test_a_role_that_is_not_there(world: PackerProject) -> None:
    error = refused(world, **use({"name": "nginx"}, {"name": "kernle"}))
    assert (error.message, error.where) == ("no role named 'kernle'", "web.yaml: software.roles.1.name")
    assert error.hint == "did you mean 'kernel'?"


def test_a_role_like_no_other(world: PackerProject) -> None:
    assert refused(world, **use({"name": "postgres"})).hint.endswith("roles/postgres/tasks/main.yml")


def test_a_variable_that_the_role_does_not_know(world: PackerProject) -> None:
    error = refused(world, **use({"name": "nginx", "vars": {"nginx_prot": 80}}))
    assert (error.message, error.hint) == ("the role nginx has no variable 'nginx_prot'", "did you mean 'nginx_port'?")
    assert error.where == "web.yaml: software.roles.0.vars.nginx_prot"


def test_a_role_without_argument_specs_takes_any_variable(world: PackerProject) -> None:
    check_roles(world.project, define(**use({"name": "kernel", "vars": {"anything": 1}})), where)


def test_a_variable_that_the_playbooks_use(world: PackerProject) -> None:
    """It would change what they do: their own value of it loses against that of a role."""
    error = refused(world, **use({"name": "kernel", "vars": {"grub": 1}}))
    assert error.message == "the bakery's own playbooks use the variable 'grub'"
    assert error.where == "web.yaml: software.roles.0.vars.grub"


def test_all_variables_of_the_playbooks_are_known(world: PackerProject) -> None:
    found = set(json.loads(ansible_variables(world.job(define(software={})))))
    for path in (*(SHIPPED / "ansible/playbooks").rglob("*.yml"), *(SHIPPED / "ansible/roles/seal").rglob("*.yml")):
        found |= set(list_variables(YAML(typ="safe").load(path)))
    assert len(found) > 30
    assert sorted(name for name in found if not OF_PLAYBOOKS.fullmatch(name) and not name.startswith("ansible_")) == []


def list_variables(node: Any) -> Iterator[str]:
    """The names that a playbook gives values to."""
    if isinstance(node, list):
        for item in node:
            yield from list_variables(item)
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("register", "loop_var", "index_var"):
                yield value
            elif key in ("vars", "ansible.builtin.set_fact"):
                yield from value
            else:
                yield from list_variables(value)


def test_a_variable_that_the_role_needs(world: PackerProject) -> None:
    specs = "argument_specs: {main: {options: {vault_url: {required: true}, vault_port: {}}}}\n"
    world.role("vault", {"meta/argument_specs.yml": specs})
    error = refused(world, **use({"name": "nginx"}, {"name": "vault", "vars": {"vault_port": 8200}}))
    assert error.message == "the role vault needs the variable 'vault_url'"
    assert error.where == "web.yaml: software.roles.1.name"
    assert error.hint.endswith("roles/vault/meta/argument_specs.yml describes it")
    check_roles(world.project, define(**use({"name": "vault", "vars": {"vault_url": "http://x"}})), where)


@pytest.mark.parametrize(("word", "needed"), [("true", True), ("yes", True), ("false", False), ("no", False)])
def test_needed_is_what_ansible_takes_for_true(world: PackerProject, word: str, needed: bool) -> None:
    world.role(
        "vault", {"meta/argument_specs.yml": f"argument_specs: {{main: {{options: {{url: {{required: {word}}}}}}}}}\n"}
    )
    if needed:
        assert refused(world, **use({"name": "vault"})).message == "the role vault needs the variable 'url'"
    else:
        check_roles(world.project, define(**use({"name": "vault"})), where)


WRONG_FILES = {
    "meta/bakery.yml": {
        "modes: [vm\n": (2, "not valid YAML: a list in brackets that is not closed"),
        "modes: [vm, lxc]\n": (1, "'modes.1' is 'lxc'; it must be 'vm' or 'chroot'"),
        "modes: vm\n": (1, "'modes' is 'vm'; it must be a list"),
        "\nfamily: [Debian]\n": (2, "unknown key 'family'"),
        "- a\n": (1, "'bakery.yml' is a list; it must be a mapping"),
    },
    "meta/argument_specs.yml": {
        "argument_specs:\n  main: {options: {probe_a: str}}\n": (
            2,
            "'argument_specs.main.options.probe_a' is 'str'",
        ),
        "argument_specs:\n\tmain: {}\n": (2, "not valid YAML: a tab where spaces must be"),
        "argument_specs: [main]\n": (1, "'argument_specs' is a list; it must be a mapping"),
        "- a\n": (1, "'argument_specs.yml' is a list; it must be a mapping"),
    },
    "meta/main.yml": {
        "- a\n": (1, "'main.yml' is a list; it must be a mapping"),
        "dependencies: nginx\n": (1, "'dependencies' is 'nginx'"),
        "dependencies:\n  - nginx\n  - [a]\n": (3, "a dependency must be a role's name"),
    },
    "tasks/extra.yml": {
        "- debug:\n- include_role: [a]\n": (2, "include_role needs the name of a role"),
        "- ansible.builtin.import_role: {name: [a]}\n": (1, "ansible.builtin.import_role needs the name of a role"),
        "- include_role: {tasks_from: a}\n": (1, "include_role needs the name of a role"),
        "- include_role: {name: [a\n": (2, "not valid YAML"),
        "- debug:\n- meta: end_play\n": (2, "'meta: end_play' would leave out the later roles and the seal"),
        "- ansible.builtin.meta: 'end_host'\n  when: done\n": (1, "'meta: end_host' would leave out"),
    },
}


@pytest.mark.parametrize(
    ("file", "text", "line", "message"),
    [(file, text, *expected) for file, cases in WRONG_FILES.items() for text, expected in cases.items()],
)
def test_a_wrong_file_of_a_role(world: PackerProject, file: str, text: str, line: int, message: str) -> None:
    world.role("probe", {file: text})
    error = refused(world, **use({"name": "probe"}))
    assert error.message.startswith(message)
    assert error.where == f"{world.project.resources.role('probe') / file}:{line}"
    assert error.exit_code == 64


def test_a_role_may_end_itself(world: PackerProject) -> None:
    world.role("probe", {"tasks/main.yml": "# not meta: end_play\n- meta: end_role  # no meta: end_play\n"})
    check_roles(world.project, define(**use({"name": "probe"})), where)


def test_no_hint_repeats_a_wrong_value_as_the_right_one(world: PackerProject) -> None:
    world.role("probe", {"meta/argument_specs.yml": "argument_specs: {main: {options: {probe_a: str}}}\n"})
    assert refused(world, **use({"name": "probe"})).hint == "it has the keys required"
    world.role("probe", {"meta/argument_specs.yml": "argument_specs: main\n"})
    assert "main" not in refused(world, **use({"name": "probe"})).hint


def test_a_wrong_file_of_a_role_that_another_role_uses(world: PackerProject) -> None:
    world.role("probe", {"tasks/extra.yml": "- include_role: [a]\n"})
    world.role("user", {"tasks/main.yml": "- include_role: {role: probe}\n"})
    error = refused(world, **use({"name": "user"}))
    assert error.where == f"{world.project.resources.role('probe')}/tasks/extra.yml:1"


def on(system: str, *roles: str, packages: tuple[str, ...] = ()) -> dict[str, Any]:
    """A definition for an OS."""
    return {"os": system, "software": {"packages": packages, "roles": [{"name": name} for name in roles]}}


@pytest.mark.parametrize("system", ["debian-12", "ubuntu-24.04"])
def test_a_role_that_says_nothing_works_on_debian(world: PackerProject, system: str) -> None:
    check_roles(world.project, define(**on(system, "kernel")), where)


@pytest.mark.parametrize("system", ["rocky-9", "rhel-9.4", "almalinux-9"])
def test_a_role_and_an_os_of_another_family(world: PackerProject, system: str) -> None:
    world.role("both", {"meta/bakery.yml": "families: [Debian, RedHat]\n"})
    check_roles(world.project, define(**on(system, "both")), where)
    error = refused(world, **on(system, "both", "kernel"))
    assert error.message == f"the role kernel works on Debian, and {system} is RedHat"
    assert error.where == "web.yaml: software.roles.1.name"
    assert error.hint.endswith("add RedHat to the families in its meta/bakery.yml")


def test_roles_of_linux_are_not_for_windows(world: PackerProject) -> None:
    world.role("both", {"meta/bakery.yml": "families: [Debian, RedHat]\n"})
    error = refused(world, **on("windows-2022", "both"))
    assert error.message == "the role both works on Debian and RedHat, and windows-2022 is Windows"


def test_packages_are_not_for_windows(world: PackerProject) -> None:
    error = refused(world, **on("windows-2022", packages=("jq",)))
    assert (error.message, error.where) == ("packages cannot be installed on Windows", "web.yaml: software.packages")
    assert error.hint == "install the software in a role"


def test_an_os_that_nobody_wrote_roles_for(world: PackerProject) -> None:
    error = refused(world, **on("rokcy-9", "nginx"))
    assert (error.message, error.where) == ("no role works on 'rokcy-9'", "web.yaml: os")
    assert error.hint == "did you mean 'rocky'?"
    assert "rocky" in refused(world, **on("plan-9", packages=("jq",))).hint


def test_an_os_that_no_bake_can_upgrade(world: PackerProject) -> None:
    error = refused(world, **on("plan-9"))
    assert (error.message, error.where) == ("a bake cannot upgrade 'plan-9'", "web.yaml: os")
    assert error.hint == "set 'updates: none'"
    assert refused(world, **on("rokcy-9")).hint == "did you mean 'rocky'?"
    check_roles(world.project, define(**on("plan-9"), template="own"), where)


def test_any_os_without_software_and_updates(world: PackerProject) -> None:
    check_roles(world.project, define(**on("plan-9"), updates="none"), where)


def test_every_family_has_tasks_that_upgrade_it() -> None:
    folder = Path(__file__).parents[4] / "ansible" / "playbooks" / "updates"
    families = set(FAMILIES.values()) - {"Windows"}  # bake-windows.yml has them
    assert {path.name for path in folder.iterdir()} == {
        f"{family}{suffix}.yml" for family in families for suffix in ("", "-kernels")
    }


def test_families_are_those_that_ansible_knows() -> None:
    from ansible.module_utils.facts.system.distribution import Distribution

    known = {name.lower(): family for name, family in Distribution.OS_FAMILY.items()}
    linux = {name: family for name, family in FAMILIES.items() if family != "Windows"}
    assert {name: known[{"rhel": "redhat"}.get(name, name)] for name in linux} == linux


@pytest.mark.parametrize("name", ["path", "home", "ansible_config", "vault_token", "ld_preload"])
def test_a_secret_that_would_be_taken_for_a_setting(world: PackerProject, name: str) -> None:
    error = refused(world, secrets={name: {"path": "secret/data/web", "key": "x"}})
    assert error.where == f"web.yaml: secrets.{name}"
    assert name.upper() in error.message


def test_chroot_mode_is_for_roles_that_say_so(world: PackerProject) -> None:
    definition = define(mode="chroot", **use({"name": "nginx"}, {"name": "kernel"}))
    with pytest.raises(UsageError) as caught:
        check_mode(world.project, definition, where)
    assert caught.value.message == "the role kernel does not declare that it works in mode chroot"
    assert caught.value.where == "web.yaml: software.roles.1.name"
    assert "mode: vm" in caught.value.hint


def test_every_role_works_in_a_guest(world: PackerProject) -> None:
    check_mode(world.project, define(**use({"name": "kernel"})), where)
