"""The files that a bake reads."""

from pathlib import Path

import pytest

from bakery.bake.bake_files import list_files, role_dependencies
from bakery.host.errors import UsageError


def test_relative_links_to_folders_are_followed_and_end(tmp_path: Path) -> None:
    """Ansible follows them. A link can lead back, by itself or by way of another one."""
    role, elsewhere = tmp_path / "role", tmp_path / "elsewhere"
    for path in ("role/files/real", "elsewhere/page", "elsewhere/__pycache__/page.pyc", "elsewhere/.page.swp"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (role / "files/self").symlink_to(".")
    (role / "files/elsewhere").symlink_to("../../elsewhere")
    (role / "files/run").symlink_to(elsewhere)  # as a tree of files for the image has it
    (elsewhere / "back").symlink_to("../role")
    (role / "gone").symlink_to("nowhere")
    assert [path.relative_to(role).as_posix() for path in list_files(role)] == [
        "files/elsewhere",
        "files/elsewhere/back",
        "files/elsewhere/page",
        "files/real",
        "files/run",
        "files/self",
        "gone",
    ]


def test_a_folder_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert list(list_files(tmp_path / "nowhere")) == []


# Files of the role `early` that uses the role `helper`, in each form that Ansible takes.
USES = {
    "a dependency in JSON": {"meta/main.json": '{"dependencies": ["helper"]}'},
    "a dependency in a file without a suffix": {"meta/main": "dependencies: [helper]\n"},
    "tasks in JSON": {"tasks/main.json": '[{"include_role": {"name": "helper"}}]'},
    "tasks in a file without a suffix": {"tasks/x": "- include_role: {name: helper}\n"},
    "a folder of its own": {
        "tasks/main.yml": "- include_tasks: '{{ role_path }}/steps/x.yml'\n",
        "steps/x.yml": "- include_role: {name: helper}\n",
    },
    "an action": {"tasks/main.yml": "- action: include_role name=helper\n"},
    "an action with arguments": {"tasks/main.yml": "- action: {module: include_role, name: helper}\n"},
    "its tasks by their path": {"tasks/main.yml": "- include_tasks: ../../helper/tasks/main.yml\n"},
    "its files by their path": {"tasks/main.yml": "- copy: {src: '{{ role_path }}/../helper/files/x', dest: /}\n"},
    "its path in a project": {"tasks/main.yml": "- copy: {src: ../../roles/helper/files/x, dest: /}\n"},
    "its path in a default": {"defaults/main.yml": "early_ca: '{{ role_path }}/../helper/files/x'\n"},
    "its path in a variable": {"vars/main.yml": "early_files: [../../helper/files/x]\n"},
    "its path in the arguments": {"meta/argument_specs.yml": "# default: ../../helper/files/x\n"},
    "its path in a template": {"templates/x.j2": "{{ lookup('file', role_path ~ '/../helper/files/x') }}\n"},
    "its path in a template among the files": {
        "tasks/main.yml": "- template: {src: ../files/x, dest: /}\n",
        "files/x": "{{ lookup('file', '../../helper/files/x') }}\n",
    },
    "its path in tasks in a folder of its own": {"steps/x.yml": "- copy: {src: ../../helper/files/x, dest: /}\n"},
    "its path as a whole": {"tasks/main.yml": "- copy: {src: ../../helper, dest: /}\n"},
    "its path below the folder of roles": {
        "tasks/main.yml": "- copy: {src: '{{ role_path | dirname }}/helper/files/x', dest: /}\n"
    },
    "tasks beside the folders": {
        "tasks/main.yml": "- include_tasks: '{{ role_path }}/x.yml'\n",
        "x.yml": "- include_role: {name: helper}\n",
    },
    "tasks that a default names": {
        "defaults/main.yml": "early_steps: '{{ role_path }}/steps/x.yml'\n",
        "steps/x.yml": "- include_role: {name: helper}\n",
    },
}


@pytest.mark.parametrize("case", USES)
def test_a_role_is_used_in_each_form_that_ansible_takes(tmp_path: Path, case: str) -> None:
    _write(tmp_path / "helper", {"tasks/main.yml": "[]\n"})
    _write(tmp_path / "early", USES[case])
    assert role_dependencies(tmp_path / "early") == ["helper"]


def test_a_role_that_has_only_files_is_used(tmp_path: Path) -> None:
    _write(tmp_path / "helper", {"files/x": "x"})
    _write(tmp_path / "early", {"tasks/main.yml": "- copy: {src: ../../helper/files/x, dest: /}\n"})
    assert role_dependencies(tmp_path / "early") == ["helper"]


@pytest.mark.parametrize("path", ["README.md", "files/x"])
def test_a_path_in_a_document_or_in_a_file_to_copy_names_no_role(tmp_path: Path, path: str) -> None:
    _write(tmp_path / "helper", {"tasks/main.yml": "[]\n"})
    _write(tmp_path / "early", {path: "cd ../helper/\n"})
    assert role_dependencies(tmp_path / "early") == []


def test_tests_of_a_role_and_its_own_path_name_no_role(tmp_path: Path) -> None:
    tasks = "- copy: {src: ../files/x, dest: /}\n- copy: {src: ../../early/files/x, dest: /}\n"
    _write(tmp_path / "early", {"tasks/main.yml": tasks, "molecule/converge.yml": "- include_role: {name: helper}\n"})
    assert role_dependencies(tmp_path / "early") == []


def test_a_name_among_the_keywords_of_a_task_is_refused(tmp_path: Path) -> None:
    """Nobody would see which role it is."""
    _write(tmp_path / "early", {"tasks/main.yml": "- include_role:\n  args: {name: helper}\n"})
    with pytest.raises(UsageError, match="include_role needs the name of a role"):
        role_dependencies(tmp_path / "early")


def _write(role: Path, contents: dict[str, str]) -> None:
    for path, text in contents.items():
        (role / path).parent.mkdir(parents=True, exist_ok=True)
        (role / path).write_text(text)
