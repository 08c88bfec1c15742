"""The input key is complete in both directions: it changes with what a bake reads, and with nothing else."""

import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from bakery.bake.normal_form import normalise_hcl
from bakery.bake.variables import ansible_variables, common_variables
from bakery.clouds.definitions import Definition, load
from bakery.clouds.job import Job, Toolchain
from bakery.model.definition import ImageDefinition
from bakery.model.exemption import PASSWORDS
from bakery.model.inputs import input_key
from bakery.model.project import Project
from unit.bakery.engine.fake_project import IMAGE, FakeProject

TEMPLATE = "packer/templates/qemu/image.pkr.hcl"
DEFINITION = "packer/images/web.yaml"
PARENT = {"qemu": {"debootstrap": {"suite": "bookworm"}}}


@contextmanager
def fake_project() -> Iterator[FakeProject]:
    with tempfile.TemporaryDirectory() as folder:
        yield FakeProject(Path(folder))


# Each field of a definition, and whether a bake reads it.
COUNTED = {
    *("os", "arch", "mode", "base", "template", "software", "updates", "package_versions", "secrets"),
    "exemptions",  # the seal reads whether passwords stay
}
NOT_COUNTED = {
    "name": "a record belongs to its image; another name is another image",
    "version": "each bake has one of its own",
    "description": "it stands beside the image; a template of the user's own can write it to the disk, and then counts",
    "tags": "as the description",
    "vulnerabilities": "bakery verify reads them",
    "tests": "bakery verify reads them",
    "targets": "publishing reads them; the builders that they need count by base, template and tools",
    "distribution": "publishing reads it",
    "channel": "publishing reads it",
    "rebuild_after_days": "the plan reads it",
    "max_failures": "the plan reads it",
    "retention": "the life of versions begins after their bake",
}


def test_each_field_of_a_definition_counts_or_has_a_reason_not_to() -> None:
    assert {*COUNTED, *NOT_COUNTED} == set(Definition.model_fields)
    assert not COUNTED & NOT_COUNTED.keys()


# The values that Ansible and Packer get of what cannot change the disk: the identity of the version, what is beside the
# image, the tests of a machine at a target, and paths.
BESIDE = ("bakery_image", "bakery_version", "image_tests", "image_test_report", "archives_report", "root_archive")
VALUES = st.recursive(
    st.integers(0, 2) | st.sampled_from(["a", "b", ""]) | st.booleans(),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=4,
)


def role(name: str) -> st.SearchStrategy[dict[str, Any]]:
    variables = st.dictionaries(st.sampled_from([f"{name}_one", f"{name}_two"]), VALUES, max_size=2)
    return st.builds(lambda chosen: {"name": name, "vars": chosen}, variables)


SOFTWARE = st.fixed_dictionaries(
    {
        "packages": st.lists(st.sampled_from(["curl", "jq"]), unique=True, max_size=2),
        "roles": st.permutations(["nginx", "tls"]).flatmap(lambda names: st.tuples(*map(role, names))),
    }
)
READ = {
    "software": SOFTWARE,
    "updates": st.sampled_from(["all", "security"]),
    "os": st.sampled_from(["debian-12", "debian-13"]),
    "mode": st.sampled_from(["vm", "chroot"]),
    "exemptions": st.lists(st.sampled_from([PASSWORDS, "no swap file"]), unique=True).map(
        lambda rules: [{"rule": rule, "reason": "it is needed at once"} for rule in rules]
    ),
    "secrets": st.dictionaries(
        st.sampled_from(["token", "key"]),
        st.builds(lambda key: {"path": "secret/data/web", "key": key}, st.sampled_from("ab")),
    ),
}
UNREAD = {
    "description": st.sampled_from(["A web server", "Another"]),
    "tags": st.dictionaries(st.sampled_from(["team"]), st.sampled_from(["a", "b"])),
    "channel": st.none() | st.just("stable"),
    "version": st.sampled_from(["1.0", "1.1"]),
    "rebuild_after_days": st.none() | st.just(7),
    "max_failures": st.none() | st.just(3),
    "vulnerabilities": st.none() | st.just({"fail_on": "high"}),
    "tests": st.lists(st.sampled_from(["web"]), unique=True),
}
IMAGES = st.fixed_dictionaries({**READ, **UNREAD})
FIELDS = st.sampled_from(sorted({*READ, *UNREAD}))


def received(world: FakeProject, definition: ImageDefinition) -> str:
    """All that Packer and Ansible get of a definition and that can change the disk, with the order of its keys."""
    project = Project(world.root, world.root / "packer/images", world.root / ".bakery", world.shipped)
    tools = Toolchain(Path("packer"), Path("plugins"), Path("ansible-playbook"), "tcg", world.tools)
    job = Job(project, definition, "1.0.0", "qemu", None, tools, Path("scratch"), Path("log"), lambda event: None)
    variables = dict(json.loads(ansible_variables(job), object_pairs_hook=list))
    read = {name: value for name, value in sorted(variables.items()) if name not in BESIDE}
    secrets = {name: [ref.path, ref.key] for name, ref in sorted(definition.secrets.items())}
    own_template = {}
    if definition.template:
        values = common_variables(job, Path("ansible"), Path("variables"))
        tags = {name: value for name, value in values["tags"].items() if name in definition.tags}
        own_template = {"description": values["description"], "tags": tags}
    return json.dumps([read, secrets, definition.os, definition.template_folder("qemu"), own_template])


def reverse_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reverse_keys(part) for name, part in reversed(value.items())}
    return list(map(reverse_keys, value)) if isinstance(value, list | tuple) else value


@settings(deadline=None)
@given(one=IMAGES, other=IMAGES, changed=st.sets(FIELDS, max_size=3), own=st.booleans(), turned=st.booleans())
def test_the_key_changes_with_what_packer_and_ansible_get_and_with_nothing_else(
    one: dict[str, Any], other: dict[str, Any], changed: set[str], own: bool, turned: bool
) -> None:
    """The second bake has the fields `changed` of `other`, or those of `one` with their keys `turned` around."""
    if own:
        one, other = ({**image, "template": "own", "mode": "vm"} for image in (one, other))
    if turned:
        other, changed = reverse_keys(one), {"software", "secrets"}
    images = [IMAGE | one, IMAGE | one | {name: other[name] for name in changed}]
    with fake_project() as world:
        definitions = [Definition.model_validate_json(json.dumps(image)) for image in images]
        keys = [
            input_key(world.fingerprints().inputs(definition, world.root / DEFINITION, world.base))
            for definition in definitions
        ]
        before, after = (received(world, definition) for definition in definitions)
    assert (keys[0] == keys[1]) == (before == after)


def insert_line(text: str, number: int, line: str) -> str:
    lines = text.splitlines()
    lines.insert(number % (len(lines) + 1), line)
    return "\n".join(lines) + "\n"


COMMENTS = st.text(st.characters(codec="ascii", exclude_categories=["C"])).filter(lambda text: ".hcl" not in text)
HCL_LINES = st.sampled_from(["", "  ", "\t"]) | st.builds(
    lambda indent, mark, text: f"{indent}{mark} {text}",
    st.sampled_from(["", "  "]),
    st.sampled_from(["#", "//"]),
    COMMENTS.filter(lambda text: not any(mark in text for mark in ("<<", "/*", "*/"))),
)


def edit_template(number: int, line: str) -> Callable[[FakeProject], None]:
    return lambda world: world.write(TEMPLATE, insert_line((world.root / TEMPLATE).read_text(), number, line))


def touch(number: int) -> Callable[[FakeProject], None]:
    def apply(world: FakeProject) -> None:
        files = sorted(path for path in world.root.rglob("*") if path.is_file())
        os.utime(files[number % len(files)], (number, number))

    return apply


def write(path: str, text: str) -> Callable[[FakeProject], None]:
    return lambda world: world.write(path, text)


NEUTRAL = st.one_of(
    st.builds(edit_template, st.integers(0, 99), HCL_LINES),
    st.builds(touch, st.integers(0, 2**31)),
    st.builds(write, st.sampled_from(["README.md", "README"]).map("ansible/roles/nginx/{}".format), st.text()),
    st.builds(write, st.just("ansible/roles/nginx/meta/bakery.yml"), COMMENTS.map("modes: [vm]  # {}\n".format)),
    st.builds(write, st.just("ansible/roles/unrelated/tasks/main.yml"), st.text()),
    st.builds(write, st.just("packer/images/other.yaml"), st.text()),
    st.builds(write, st.just("ansible/roles/nginx/tasks/.main.yml.swp"), st.text()),
)


@settings(deadline=None, max_examples=40)
@given(st.lists(NEUTRAL, min_size=1, max_size=4))
def test_edits_without_an_effect_do_not_count(edits: list[Callable[[FakeProject], None]]) -> None:
    with fake_project() as world:
        before = world.inputs()
        for edit in edits:
            edit(world)
        assert world.inputs() == before


@settings(deadline=None, max_examples=40)
@given(data=st.data(), number=st.integers(0, 99), line=COMMENTS)
def test_layout_of_a_definition_does_not_count(data: st.DataObject, number: int, line: str) -> None:
    """Comments, empty lines, and the order of keys of the definition itself."""
    names = data.draw(st.permutations(sorted(IMAGE)))
    with fake_project() as world:
        written = io.StringIO()
        YAML().dump({name: IMAGE[name] for name in names}, written)
        world.write(DEFINITION, f"# {line}\n\n" + insert_line(written.getvalue(), number, f"# {line}"))
        world.write("packer/images/debian-12.yaml", json.dumps(IMAGE | {"name": "debian-12", "base": PARENT}))
        loaded = load(world.root / "packer/images")
        image, file = loaded.images["web"], loaded.sources["web"]
        assert world.fingerprints().inputs(image, file, world.base) == world.inputs()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a = <<EOT\n# one\nEOT\n", "a = <<EOT\n# two\nEOT\n"),
        ("a = <<-EOT\n\nEOT\n", "a = <<-EOT\nEOT\n"),
        ("/*\n# */ a = 1\n", "/*\n# */ a = 2\n"),
        ('a = "x # y"\n', 'a = "x # z"\n'),
        ("a = 1 # b\n", "a = 1\n"),
        ("a = 1 / 2\n", "a = 1\n"),
    ],
)
def test_what_looks_like_a_comment_counts(before: str, after: str) -> None:
    assert normalise_hcl(before.encode()) != normalise_hcl(after.encode())


@given(st.lists(st.sampled_from(["# a", "// b", "", "  ", "c = 1", '  d = "# e"', "}", "\tf // g"])))
def test_the_normal_form_has_the_other_lines_in_their_order(lines: list[str]) -> None:
    content = "".join(f"{line}\n" for line in lines).encode()
    kept = [line for line in lines if line.strip() and not line.lstrip().startswith(("#", "//"))]
    assert normalise_hcl(content).decode().splitlines() == kept
    assert normalise_hcl(normalise_hcl(content)) == normalise_hcl(content)


@pytest.mark.parametrize(
    "reader",
    [
        ("packer/templates/qemu/linux/read.sh", "sha256sum image.pkr.hcl\n"),
        ("packer/templates/qemu/linux.pkr.hcl", 'build {\n  x = file("image.pkr.hcl")\n}\n'),
    ],
)
def test_a_comment_counts_if_the_template_reads_its_own_file(tmp_path: Path, reader: tuple[str, str]) -> None:
    world = FakeProject(tmp_path)
    world.write(*reader)
    before = world.inputs()
    edit_template(0, "# why")(world)
    assert world.inputs() != before


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("ansible/roles/nginx/tasks/more.yml", "- copy: {src: README.md, dest: /etc/motd}\n"),
        ("ansible/roles/tls/tasks/main.yml", "- copy: {src: '{{ role_path }}/', dest: /srv}\n"),
        ("ansible/roles/tls/tasks/main.yml", "- copy: {src: ../nginx/, dest: /srv}\n"),
        ("ansible/roles/tls/tasks/main.yml", "- copy:\n    src: .\n    dest: /srv\n"),
        ("ansible/playbooks/bake.yml", "- hosts: all\n  tasks: [{copy: {src: roles/nginx/x, dest: /srv}}]\n"),
    ],
)
def test_a_document_of_a_role_counts_if_a_task_may_copy_it(tmp_path: Path, path: str, text: str) -> None:
    world = FakeProject(tmp_path)
    world.write(path, text)
    before = world.inputs()
    world.write("ansible/roles/nginx/README.md", "How to use it\n")
    assert world.inputs() != before


def test_a_document_of_a_role_counts_if_a_variable_names_it(tmp_path: Path) -> None:
    world = FakeProject(tmp_path)
    world.image["software"]["roles"][0]["vars"]["page"] = "README.md"
    before = world.inputs()
    world.write("ansible/roles/nginx/README.md", "How to use it\n")
    assert world.inputs() != before


def test_a_file_of_another_role_counts_if_a_variable_has_its_path(tmp_path: Path) -> None:
    world = FakeProject(tmp_path)
    world.image["software"]["roles"][0]["vars"]["pages"] = ["../../pages/files/x"]
    before = world.inputs()
    world.write("ansible/roles/pages/files/x", "new")
    assert world.inputs() != before
