"""The key of a layer changes with all that decides its disk, and with nothing that only comes later."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bakery.bake.layer_keys import Cut, find_last_equal, list_cuts
from bakery.engine.fingerprint import Fingerprints
from bakery.model.definition import ImageDefinition
from doubles.packer import PackerProject, define, make_world

BASE = "b" * 64


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackerProject:
    made = make_world(tmp_path, monkeypatch)
    for name in ("early", "late"):
        made.role(name, {"meta/bakery.yml": "modes: [vm, chroot]\n", "tasks/main.yml": f"- debug: {{msg: '{name}'}}\n"})
    made.role("seal")
    return made


def of(*roles: str, variables: Mapping[str, Any] | None = None, **changes: Any) -> ImageDefinition:
    uses = [{"name": name, "vars": (variables or {}).get(name, {})} for name in roles]
    return define(**({"mode": "chroot", "software": {"packages": ["jq"], "roles": uses}} | changes))


def cuts(world: PackerProject, definition: ImageDefinition, base: str = BASE) -> dict[str, str]:
    """The keys of a definition's layers by the last role in each."""
    return {cut.last: cut.key for cut in _list(world, definition, base)}


def _list(world: PackerProject, definition: ImageDefinition, base: str = BASE) -> tuple[Cut, ...]:
    return list_cuts(definition, _read_inputs(world, definition), base, world.project.resources)


def _read_inputs(world: PackerProject, definition: ImageDefinition) -> Mapping[str, str]:
    fingerprints = Fingerprints(world.project, {"packer": "1.16.0", "ansible-core": "2.19"}, {})
    return fingerprints.inputs(definition, world.project.definitions / "web.yaml", "c" * 64)


def test_there_is_a_place_after_the_packages_and_after_each_role(world: PackerProject) -> None:
    assert [(cut.roles, cut.last) for cut in _list(world, of("early", "late"))] == [(0, ""), (1, "early"), (2, "late")]


def test_a_bake_without_updates_and_packages_has_no_layer_before_its_roles(world: PackerProject) -> None:
    definition = of("early", software={"roles": [{"name": "early"}]}, updates="none")
    assert list(cuts(world, definition)) == ["early"]


@pytest.mark.parametrize("changes", [{"template": "own"}, {"os": "windows-server-2022"}])
def test_a_template_of_the_user_and_windows_have_no_layers(world: PackerProject, changes: dict[str, str]) -> None:
    definition = of("early").model_copy(update=changes)
    assert list_cuts(definition, {"engine": "1"}, BASE, world.project.resources) == ()


def test_unknown_inputs_give_no_key(world: PackerProject) -> None:
    assert list_cuts(of("early"), {}, BASE, world.project.resources) == ()


def edit(path: str, text: str) -> Any:
    def apply(world: PackerProject) -> None:
        target = world.project.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    return apply


# A change, and the last roles of the layers that it leaves as they are.
EDITS = {
    "the late role": (edit("ansible/roles/late/tasks/main.yml", "- debug:\n"), ["", "early"]),
    "the early role": (edit("ansible/roles/early/files/a", "new"), [""]),
    "the seal": (edit("ansible/roles/seal/tasks/main.yml", "- debug:\n"), ["", "early", "late"]),
    "the playbook": (edit("ansible/playbooks/bake.yml", "- hosts: all\n"), []),
}


@pytest.mark.parametrize("change", EDITS)
def test_a_change_of_files_makes_the_layers_behind_it_anew(world: PackerProject, change: str) -> None:
    apply, same = EDITS[change]
    before = cuts(world, of("early", "late"))
    apply(world)
    after = cuts(world, of("early", "late"))
    assert [last for last in before if before[last] == after[last]] == same


DEFINITIONS = {
    "a variable of the late role": (of("early", "late", variables={"late": {"late_port": 1}}), ["", "early"]),
    "a variable of the early role": (of("early", "late", variables={"early": {"early_port": 1}}), [""]),
    "another late role": (of("early", "nginx"), ["", "early"]),
    "the order": (of("late", "early"), [""]),
    "a role more": (of("early", "late", "nginx"), ["", "early", "late"]),
    "another name": (of("early", "late", name="shop"), ["", "early", "late"]),
    "a tag and a description": (of("early", "late", tags={"a": "b"}, description="new"), ["", "early", "late"]),
    "packages": (
        of("early", "late", software={"packages": ["jq", "git"], "roles": [{"name": "early"}, {"name": "late"}]}),
        [],
    ),
    "no updates": (of("early", "late", updates="none"), []),
    "the mode": (of("early", "late", mode="vm"), []),
}


@pytest.mark.parametrize("change", DEFINITIONS)
def test_a_change_of_the_definition_makes_the_layers_behind_it_anew(world: PackerProject, change: str) -> None:
    definition, same = DEFINITIONS[change]
    before = cuts(world, of("early", "late", updates="all"))
    if change != "no updates":
        definition = definition.model_copy(update={"updates": "all"})
    after = cuts(world, definition)
    assert [last for last in before if before[last] == after.get(last)] == same


def test_another_base_makes_all_layers_anew(world: PackerProject) -> None:
    before, after = cuts(world, of("early")), cuts(world, of("early"), base="d" * 64)
    assert not set(before.values()) & set(after.values())


def test_a_variable_of_a_late_role_counts_if_an_early_role_reads_it(world: PackerProject) -> None:
    world.role("early", {"tasks/main.yml": "- debug: {msg: '{{ late_port }}'}\n"})
    before = cuts(world, of("early", "late", variables={"late": {"late_port": 1}}))
    after = cuts(world, of("early", "late", variables={"late": {"late_port": 2}}))
    assert [last for last in before if before[last] == after[last]] == [""]


def test_the_name_of_the_image_counts_if_a_role_reads_it(world: PackerProject) -> None:
    world.role("early", {"tasks/main.yml": "- debug: {msg: '{{ bakery_image }}'}\n"})
    before, after = cuts(world, of("early")), cuts(world, of("early", name="shop"))
    assert [last for last in before if before[last] == after[last]] == [""]


@pytest.mark.parametrize(
    ("changes", "last"),
    [
        ({}, "late"),
        ({"variables": {"late": {"late_port": 1}}}, "early"),
        ({"variables": {"early": {"early_port": 1}}}, ""),
        ({"mode": "vm"}, None),
    ],
)
def test_two_bakes_are_equal_up_to_a_place(world: PackerProject, changes: dict[str, Any], last: str | None) -> None:
    before, after = (_read_inputs(world, of("early", "late", **more)) for more in ({}, changes))
    cut = find_last_equal(of("early", "late"), before, after, world.project.resources)
    assert (cut.last if cut else None) == last


# The early role and the late one, where a bake that starts after the early one would miss something.
DEPENDENT = {
    "a registered result": ("- command: id\n  register: who\n", "- debug: {var: who}\n"),
    "a fact": ("- set_fact: {who: me}\n", "- debug: {msg: '{{ who }}'}\n"),
    "a fact in the short form": ("- set_fact: who=me\n", "- debug: {msg: '{{ who }}'}\n"),
    "a fact with a name that is made": ("- set_fact: {'{{ name }}': me}\n", "[]\n"),
    "facts": ("- ansible.builtin.package_facts:\n", "[]\n"),
    "a host": ("- add_host: {name: other}\n", "[]\n"),
    "a nested block": ("- block:\n    - command: id\n      register: who\n", "- debug: {var: who}\n"),
    "a question": ("- set_fact: {who: me}\n", "- set_fact: {who: '{{ who | default(1) }}'}\n"),
    "the version": ("- debug: {msg: '{{ bakery_version }}'}\n", "[]\n"),
    "the list of roles": ("- debug: {msg: '{{ software_roles }}'}\n", "[]\n"),
    "any variable": ("- debug: {msg: '{{ vars[name] }}'}\n", "[]\n"),
    "a lookup of variables": ("- debug: {msg: \"{{ lookup('ansible.builtin.vars', name) }}\"}\n", "[]\n"),
}


@pytest.mark.parametrize("case", DEPENDENT)
def test_no_layer_is_kept_where_a_later_role_may_need_more_than_the_disk(world: PackerProject, case: str) -> None:
    early, late = DEPENDENT[case]
    world.role("early", {"tasks/main.yml": early})
    world.role("late", {"tasks/main.yml": late})
    assert "early" not in cuts(world, of("early", "late"))


def test_a_handler_of_an_early_role_that_a_late_one_notifies(world: PackerProject) -> None:
    world.role("early", {"handlers/main.yml": "- name: Restart it\n  command: 'true'\n"})
    world.role("late", {"tasks/main.yml": "- command: 'true'\n  notify: Restart it\n"})
    assert "early" not in cuts(world, of("early", "late"))


def test_included_variables_of_an_early_role_that_a_late_one_reads(world: PackerProject) -> None:
    world.role("early", {"vars/Debian.yml": "early_packages: [a]\n"})
    world.role("late", {"tasks/main.yml": "- debug: {var: early_packages}\n"})
    assert "early" not in cuts(world, of("early", "late"))


def test_a_name_that_the_late_role_sets_itself_is_no_obstacle(world: PackerProject) -> None:
    for name in ("early", "late"):
        world.role(name, {"tasks/main.yml": "- command: id\n  register: who\n- debug: {var: who}\n"})
    assert list(cuts(world, of("early", "late"))) == ["", "early", "late"]


SECRETS = {"password": {"path": "secret/data/web", "key": "password"}}


@pytest.mark.parametrize(
    "task",
    [
        "- debug: {msg: \"{{ lookup('env', 'PASSWORD') }}\"}\n",
        "- debug: {msg: \"{{ lookup('env', name) }}\"}\n",
        "- command: printenv\n  delegate_to: localhost\n",
    ],
)
def test_no_layer_has_the_work_of_a_role_that_may_read_a_secret(world: PackerProject, task: str) -> None:
    world.role("late", {"tasks/main.yml": task})
    assert list(cuts(world, of("early", "late", secrets=SECRETS))) == ["", "early"]


def test_another_variable_of_the_environment_is_no_secret(world: PackerProject) -> None:
    world.role("late", {"tasks/main.yml": "- debug: {msg: \"{{ lookup('env', 'HOME') }}\"}\n"})
    assert list(cuts(world, of("early", "late", secrets=SECRETS))) == ["", "early", "late"]
