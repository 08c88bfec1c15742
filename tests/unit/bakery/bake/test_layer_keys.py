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


def test_the_red_hat_family_has_layers(world: PackerProject) -> None:
    assert list(cuts(world, of("early", os="rocky-9"))) == ["", "early"]


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
    "a fact among the keywords": ("- set_fact:\n  args: {who: me}\n", "- debug: {msg: '{{ who }}'}\n"),
    "a fact in the task and among the keywords": (
        "- set_fact: {other: me}\n  args: {who: me}\n",
        "- debug: {msg: '{{ who }}'}\n",
    ),
    "variables in one, among the keywords": (
        "- include_vars: {file: x.yml}\n  args: {name: who}\n",
        "- debug: {msg: '{{ who }}'}\n",
    ),
    "facts that a template makes": ("- set_fact: '{{ {\"who\": 1} | combine( recursive=true ) }}'\n", "[]\n"),
    "facts that a template makes, among the keywords": ("- set_fact:\n  args: '{{ made }}'\n", "[]\n"),
    "facts in a list": ("- set_fact: [who]\n", "[]\n"),
    "facts that are cleared": ("- meta: clear_facts\n", "[]\n"),
    "facts that are cleared, by the module's full name": ("- ansible.builtin.meta: clear_facts\n", "[]\n"),
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


TASKS, HANDLERS = "tasks/main.yml", "handlers/main.yml"
TEMPLATES = "modes: [vm, chroot]\ntemplates: true\n"

# More files of the early role and of the late one, where a bake that starts after the early one would miss something.
UNSHOWN = {
    "a result that the late role sets too, later": (
        {TASKS: "- command: id\n  register: who\n"},
        {TASKS: "- debug: {msg: \"{{ who.rc | default('no') }}\"}\n- command: id\n  register: who\n"},
    ),
    "a fact of the old form of a task": ({TASKS: "- action: set_fact who=me\n"}, {}),
    "the facts of getent": ({TASKS: "- getent: {database: passwd}\n"}, {}),
    "a file on the controller": ({TASKS: "- fetch: {src: /etc/fstab, dest: /srv/}\n"}, {}),
    "a setting of Ansible": ({TASKS: "- set_fact: {ansible_remote_tmp: /var/tmp}\n"}, {}),
    "a module of its own": ({"library/mine.py": ""}, {}),
    "a filter of its own": ({"filter_plugins/mine.py": ""}, {}),
    "variables in one": (
        {TASKS: "- include_vars: {file: x.yml, name: cfg}\n", "vars/x.yml": "port: 1\n"},
        {TASKS: "- debug: {msg: '{{ cfg }}'}\n"},
    ),
    "variables in one, in the short form": (
        {TASKS: "- include_vars: file=x.yml name=cfg\n", "vars/x.yml": "port: 1\n"},
        {TASKS: "- debug: {msg: '{{ cfg }}'}\n"},
    ),
    "variables in JSON": ({"vars/x.json": '{"port": 1}'}, {TASKS: "- debug: {msg: '{{ port }}'}\n"}),
    "variables in a folder of its own": ({"config/x.yml": "port: 1\n"}, {TASKS: "- debug: {msg: '{{ port }}'}\n"}),
    "tasks in a folder of its own": (
        {"steps/x.yml": "- set_fact: {who: me}\n"},
        {TASKS: "- debug: {msg: '{{ who }}'}\n"},
    ),
    "the defaults of an imported role": (
        {TASKS: "- import_role: {name: helper}\n"},
        {TASKS: "- debug: {msg: '{{ helper_port }}'}\n"},
    ),
    "the defaults of a public role": (
        {TASKS: "- include_role: {name: helper, public: true}\n"},
        {TASKS: "- debug: {msg: '{{ helper_port }}'}\n"},
    ),
    "a role whose name is made": ({TASKS: "- include_role: {name: '{{ early_helper }}'}\n"}, {}),
    "a dependency that ran": (
        {TASKS: "- include_role: {name: helper}\n"},
        {"meta/main.yml": "dependencies: [helper]\n"},
    ),
    "a topic that both listen to": (
        {HANDLERS: "- name: Restart the first\n  listen: web\n  command: 'true'\n"},
        {
            TASKS: "- command: 'true'\n  notify: web\n",
            HANDLERS: "- name: Restart the second\n  listen: web\n  command: 'true'\n",
        },
    ),
    "a handler whose name is made": ({HANDLERS: "- name: Restart {{ service }}\n  command: 'true'\n"}, {}),
    "a handler that is notified by a name that is made": (
        {HANDLERS: "- name: Restart web\n  command: 'true'\n"},
        {TASKS: "- command: 'true'\n  notify: Restart {{ service }}\n"},
    ),
    "a file in memory": (
        {TASKS: "- command: touch /run/marker\n"},
        {TASKS: "- command: cat /run/marker\n"},
    ),
    "a fact that changes": ({}, {TASKS: "- debug: {msg: '{{ ansible_facts.lsb }}'}\n"}),
    "a fact that changes, by its old name": ({}, {TASKS: "- debug: {msg: '{{ ansible_distribution_version }}'}\n"}),
    "facts by a computed name": ({}, {TASKS: "- debug: {msg: '{{ ansible_facts[name] }}'}\n"}),
    "the environment": ({}, {TASKS: "- debug: {msg: '{{ ansible_env.JAVA_HOME }}'}\n"}),
    "the kernel's command line": ({}, {TASKS: "- debug: {msg: '{{ ansible_cmdline.quiet }}'}\n"}),
    "the running kernel's command line": ({}, {TASKS: "- debug: {msg: '{{ ansible_proc_cmdline }}'}\n"}),
    "what is mounted": ({}, {TASKS: "- debug: {msg: '{{ ansible_mounts }}'}\n"}),
    "the running kernel": ({}, {TASKS: "- shell: apt-get install linux-headers-$(uname -r)\n"}),
    "a setting of the running kernel": ({}, {TASKS: "- shell: cat /proc/sys/vm/nr_hugepages >/etc/x\n"}),
    "a device": ({}, {TASKS: "- shell: ls '/sys/block' >/etc/x\n"}),
    "a command that sets the running kernel": ({TASKS: "- command: sysctl -q -w vm.nr_hugepages=1\n"}, {}),
    "a module that sets the running kernel": ({TASKS: "- ansible.posix.sysctl: {name: a, value: 1}\n"}, {}),
    "a command that mounts": ({TASKS: "- command: mount -t tmpfs none /mnt\n"}, {}),
    "a module that mounts": ({TASKS: "- ansible.posix.mount: {path: /mnt, state: mounted}\n"}, {}),
    "the machine's name": ({TASKS: "- hostname: {name: web}\n"}, {}),
    "a module of the kernel": ({TASKS: "- community.general.modprobe: {name: zfs}\n"}, {}),
    "a service that runs": ({TASKS: "- service: {name: postgresql, state: started}\n"}, {}),
    "a service that runs, in the short form": ({TASKS: "- systemd: name=postgresql state=started\n"}, {}),
    "a service that may run": ({TASKS: "- ansible.builtin.systemd_service: {name: a, state: '{{ b }}'}\n"}, {}),
    "a command that starts a service": ({TASKS: "- command: systemctl --quiet start postgresql\n"}, {}),
    "all variables": ({TASKS: "- debug: {msg: '{{ vars | list }}'}\n"}, {}),
    "the names of roles": ({TASKS: "- debug: {msg: '{{ ansible_role_names }}'}\n"}, {}),
    "what the seal keeps": ({TASKS: "- debug: {msg: '{{ seal_keep_passwords }}'}\n"}, {}),
    "the lists of apt": ({TASKS: "- shell: rm -rf /var/lib/apt/lists/*\n"}, {}),
    "a registered result in a file without a suffix": (
        {TASKS: "- include_tasks: x\n", "tasks/x": "- command: id\n  register: who\n"},
        {TASKS: "- debug: {var: who}\n"},
    ),
    "a handler in a file without a suffix": (
        {"handlers/main": "- name: Restart web\n  command: 'true'\n"},
        {TASKS: "- command: 'true'\n  notify: Restart web\n"},
    ),
    "variables among the files": (
        {TASKS: "- include_vars: '{{ role_path }}/files/x.yml'\n", "files/x.yml": "port: 1\n"},
        {TASKS: "- debug: {msg: '{{ port }}'}\n"},
    ),
    "tasks among the templates that are no YAML yet": (
        {TASKS: "- include_tasks: '{{ made }}'\n- debug: {msg: templates/}\n", "templates/x.yml": "{% if x %}\n"},
        {},
    ),
    "a fact that is read by a computed name": (
        {TASKS: "- set_fact: {who: me}\n"},
        {TASKS: "- debug: {msg: \"{{ lookup('vars', 'w' ~ 'ho') }}\"}\n"},
    ),
    "a loop over variables": ({TASKS: "- debug: {msg: '{{ item }}'}\n  with_vars: ['{{ name }}']\n"}, {}),
    "a loop over the names of variables": ({TASKS: "- debug:\n  with_varnames: ['^late_']\n"}, {}),
    "a file in a folder in memory": (
        {TASKS: "- get_url: {url: 'https://a.example/x.deb', dest: /tmp}\n"},
        {TASKS: "- apt: {deb: /tmp/x.deb}\n"},
    ),
    "a file in memory whose name is made": (
        {TASKS: "- command: touch /run/{{ name }}\n"},
        {TASKS: "- command: cat /var/run/{{ name }}\n"},
    ),
    "the system's name": ({TASKS: "- lineinfile: {path: /etc/os-release, line: ID=shop}\n"}, {}),
    "the system's name in a command": ({TASKS: "- shell: sed -i s/Debian/Shop/ /usr/lib/os-release\n"}, {}),
    "a folder of the project": ({TASKS: "- copy: {src: '{{ playbook_dir }}/x', dest: /etc/}\n"}, {}),
    "a program of this machine": ({TASKS: "- debug: {msg: \"{{ lookup('pipe', 'git log') }}\"}\n"}, {}),
    "a file of this machine": ({TASKS: "- debug: {msg: \"{{ lookup('file', '/srv/x') }}\"}\n"}, {}),
    "a file of the user": ({TASKS: "- debug: {msg: \"{{ lookup('file', '~/x') }}\"}\n"}, {}),
    "a table of this machine": ({TASKS: "- debug: {msg: \"{{ lookup('csvfile', 'a file=/srv/x.csv') }}\"}\n"}, {}),
    "a setting of this machine": ({TASKS: "- debug: {msg: \"{{ lookup('ini', 'a', file='/srv/x') }}\"}\n"}, {}),
    "the lines of a program": ({TASKS: "- debug: {msg: \"{{ lookup('lines', 'git log') }}\"}\n"}, {}),
    "a loop over lines of a program": ({TASKS: "- debug: {msg: '{{ item }}'}\n  with_lines: git log\n"}, {}),
    "a loop over files of this machine": ({TASKS: "- debug: {msg: '{{ item }}'}\n  with_file: [/srv/x]\n"}, {}),
    "a pattern of files of this machine": (
        {TASKS: "- debug: {msg: '{{ item }}'}\n  with_fileglob:\n    - /srv/*\n"},
        {},
    ),
    "facts among the keywords": ({TASKS: "- set_fact:\n  args: {who: me}\n"}, {}),
    "facts that a template makes": ({TASKS: "- set_fact: \"{{ {'who': 'me'} }}\"\n"}, {}),
    "facts that are gone": ({TASKS: "- meta: clear_facts\n"}, {}),
    "the environment of the login": ({}, {TASKS: "- debug: {msg: '{{ ansible_env.PATH }}'}\n"}),
    "the command line of the kernel": ({}, {TASKS: "- debug: {msg: '{{ ansible_proc_cmdline }}'}\n"}),
    "a mount": ({TASKS: "- command: mount -t tmpfs none /mnt\n"}, {}),
    "the name of the running system": ({TASKS: "- hostname: {name: web}\n"}, {}),
    "the name of the running system by a program": ({TASKS: "- command: hostname web\n"}, {}),
    "a variable with a template": (
        {TASKS: "- command: id\n  register: who\n"},
        {"meta/bakery.yml": TEMPLATES, TASKS: "- debug: {msg: '{{ late_text }}'}\n"},
    ),
}


@pytest.mark.parametrize("case", UNSHOWN)
def test_no_layer_is_kept_where_more_than_the_disk_is_left_out_of_sight(world: PackerProject, case: str) -> None:
    world.role("helper", {"defaults/main.yml": "helper_port: 1\n"})
    for name, files in zip(("early", "late"), UNSHOWN[case], strict=True):
        world.role(name, files)
    late = {"late_text": "{{ who.stdout }}"}
    assert "early" not in cuts(world, of("early", "late", variables={"late": late}))


def test_a_fact_that_stays_is_no_obstacle(world: PackerProject) -> None:
    text = "{{ ansible_facts.os_family }} {{ ansible_facts['distribution_release'] }} {{ ansible_python_interpreter }}"
    world.role("late", {TASKS: f'- debug: {{msg: "{text}"}}\n'})
    assert list(cuts(world, of("early", "late"))) == ["", "early", "late"]


@pytest.mark.parametrize(
    ("early", "late"),
    [
        ("- get_url: {url: 'https://a.example/x', dest: /var/tmp}\n", "- command: ls /var/tmp\n"),
        ("- command: touch /run/a\n", "- command: touch /run/b\n"),
        ("- command: ls /tmp\n", "- command: ls /run\n"),
        ("- command: make\n  args: {chdir: /srv}\n", "- command: make\n  args: {chdir: /srv}\n"),
        ("- set_fact: who=me\n", "- meta: flush_handlers\n"),
        ("- meta: flush_handlers\n", "[]\n"),
        ("- service: {name: web, state: started, enabled: true}\n", "[]\n"),
        ("- service: name=web state=started enabled=true\n- systemd: {name: web, enabled: true}\n", "[]\n"),
        ("- systemd: {name: web, state: stopped}\n", "- copy: {src: x, dest: /usr/include/sys/}\n"),
        ("- debug: {msg: it mounts a disk}\n", "[]\n"),
        ("- shell: . /etc/os-release && echo $ID >/etc/who\n", "[]\n"),
        ("- copy: {content: \"{{ lookup('file', 'x') }}\", dest: /etc/x}\n", "[]\n"),
    ],
)
def test_what_is_on_the_disk_and_what_only_one_names_is_no_obstacle(
    world: PackerProject, early: str, late: str
) -> None:
    world.role("early", {TASKS: early})
    world.role("late", {TASKS: late})
    assert list(cuts(world, of("early", "late"))) == ["", "early", "late"]


def test_there_is_a_place_behind_the_role_that_would_miss_something(world: PackerProject) -> None:
    world.role("late", {TASKS: "- debug: {msg: '{{ ansible_facts.lsb }}'}\n"})
    assert list(cuts(world, of("early", "late"))) == ["late"]


def test_a_variable_that_only_a_template_in_a_variable_names_counts(world: PackerProject) -> None:
    world.role("early", {"meta/bakery.yml": TEMPLATES, TASKS: "- debug: {msg: '{{ early_text }}'}\n"})

    def keys(port: int) -> dict[str, str]:
        variables = {"early": {"early_text": "{{ late_port }}"}, "late": {"late_port": port}}
        return cuts(world, of("early", "late", variables=variables))

    before, after = keys(1), keys(2)
    assert [last for last in before if before[last] == after[last]] == [""]


def test_a_setting_of_ansible_in_a_late_role_counts_for_all(world: PackerProject) -> None:
    before, after = (
        cuts(world, of("early", "late", variables={"late": {"ansible_shell_executable": shell}}))
        for shell in ("/bin/sh", "/bin/bash")
    )
    assert not set(before.values()) & set(after.values())


def test_a_file_of_a_late_role_counts_if_an_early_one_reads_it(world: PackerProject) -> None:
    world.role("early", {TASKS: "- copy: {src: '{{ role_path }}/../late/files/x', dest: /etc/x}\n"})
    before = cuts(world, of("early", "late"))
    world.role("late", {"files/x": "new"})
    after = cuts(world, of("early", "late"))
    assert [last for last in before if before[last] == after[last]] == [""]


@pytest.mark.parametrize("role", ["early", "late"])
def test_a_file_of_another_role_counts_if_a_variable_has_its_path(world: PackerProject, role: str) -> None:
    definition = of("early", "late", variables={role: {"page": "../../helper/files/x"}})
    world.role("early", {TASKS: "- copy: {src: '{{ page }}', dest: /etc/x}\n"})
    before = cuts(world, definition)
    world.role("helper", {"files/x": "new"})
    after = cuts(world, definition)
    assert [last for last in before if before[last] == after[last]] == [""]


@pytest.mark.parametrize(
    "task",
    [
        "- template: {src: ../files/x, dest: /etc/x}\n",
        "- template: {src: '{{ item }}', dest: /etc/x}\n  with_first_found: [{files: [x], paths: [files]}]\n",
    ],
)
def test_a_template_among_the_files_counts_as_text(world: PackerProject, task: str) -> None:
    world.role("early", {TASKS: task, "files/x": "{{ late_port }}"})
    before, after = (cuts(world, of("early", "late", variables={"late": {"late_port": port}})) for port in (1, 2))
    assert [last for last in before if before[last] == after[last]] == [""]


def test_a_name_of_the_environment_in_parts_may_be_a_secret(world: PackerProject) -> None:
    world.role("late", {TASKS: "- debug: {msg: \"{{ lookup('env', 'PASS' ~ 'WORD') }}\"}\n"})
    assert list(cuts(world, of("early", "late", secrets=SECRETS))) == ["", "early"]


def test_a_script_on_the_controller_may_read_a_secret(world: PackerProject) -> None:
    script = {TASKS: "- script: go.sh\n  delegate_to: localhost\n", "files/go.sh": "echo $PASSWORD\n"}
    world.role("late", script)
    assert list(cuts(world, of("early", "late", secrets=SECRETS))) == ["", "early"]


def test_the_python_of_the_controller_is_the_same_in_each_bake(world: PackerProject) -> None:
    world.role("early", {TASKS: "- command: '{{ ansible_playbook_python }} -V'\n  delegate_to: localhost\n"})
    assert list(cuts(world, of("early", "late"))) == ["", "early", "late"]
