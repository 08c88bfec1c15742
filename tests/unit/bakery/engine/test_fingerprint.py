import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakery.clouds.definitions import Definition
from bakery.engine.fingerprint import Fingerprints
from bakery.host.errors import UsageError
from bakery.model.definition import ImageDefinition, RoleUse, Software
from bakery.model.documents import Mode
from bakery.model.exemption import PASSWORDS
from bakery.model.inputs import Inputs, canonical_json, compare_inputs, input_key
from bakery.model.project import Project
from unit.bakery.engine.fake_project import IMAGE, MACHINE, TOOLS, FakeProject


@pytest.fixture
def world(tmp_path: Path) -> FakeProject:
    return FakeProject(tmp_path)


def change(path: str, text: str = "# changed\n[]\n") -> Callable[[FakeProject], None]:
    return lambda world: world.write(path, text)


def define(*keys: str | int, to: object) -> Callable[[FakeProject], None]:
    def apply(world: FakeProject) -> None:
        node = world.image
        for key in keys[:-1]:
            node = node[key]
        node[keys[-1]] = to

    return apply


ROLE = "ansible/roles/nginx"
QEMU_TEMPLATE = [f"template:qemu/{name}" for name in ("image.pkr.hcl", "linux.pkr.hcl", "linux/user-data")]
COUNTS: dict[str, tuple[Callable[[FakeProject], None], list[str]]] = {
    "content of the parent": (lambda world: setattr(world, "base", "c" * 64), ["base"]),
    "file of a role": (change(f"{ROLE}/files/run.sh"), ["role:nginx/files/run.sh"]),
    "new file of a role": (change(f"{ROLE}/files/new"), ["role:nginx/files/new"]),
    "removed file of a role": (
        lambda world: (world.root / ROLE / "files/run.sh").unlink(),
        ["role:nginx/files/run.sh"],
    ),
    "executable bit": (
        lambda world: (world.root / ROLE / "files/run.sh").chmod(0o755),
        ["role:nginx/files/run.sh"],
    ),
    "what a link points at": (change("elsewhere/motd"), ["role:nginx/files/motd"]),
    "file behind a link to a folder": (change("elsewhere/pages/index.html"), ["role:nginx/files/pages/index.html"]),
    "link instead of a file": (
        lambda world: (
            (world.root / ROLE / "files/run.sh")
            .rename(world.root / ROLE / "files/real")
            .with_name("run.sh")
            .symlink_to("real")
        ),
        ["role:nginx/files/real", "role:nginx/files/run.sh"],
    ),
    "link to nowhere": (
        lambda world: (world.root / ROLE / "files/gone").symlink_to("nowhere"),
        ["role:nginx/files/gone"],
    ),
    "updates of the family": (change("ansible/playbooks/updates/Debian.yml"), ["ansible:updates/Debian.yml"]),
    "kernels of the family": (
        change("ansible/playbooks/updates/Debian-kernels.yml"),
        ["ansible:updates/Debian-kernels.yml"],
    ),
    "role included by a task": (change("ansible/roles/tls/tasks/main.yml"), ["role:tls/tasks/main.yml"]),
    "role imported further down": (change("ansible/roles/site/tasks/main.yml"), ["role:site/tasks/main.yml"]),
    "role included by a handler": (change("ansible/roles/restart/tasks/main.yml"), ["role:restart/tasks/main.yml"]),
    "role in meta by its name alone": (change("ansible/roles/common/tasks/main.yml"), ["role:common/tasks/main.yml"]),
    "role in meta as role": (change("ansible/roles/users/tasks/main.yml"), ["role:users/tasks/main.yml"]),
    "role in meta as name": (change("ansible/roles/time/tasks/main.yml"), ["role:time/tasks/main.yml"]),
    "role of a role": (change("ansible/roles/deep/tasks/main.yml"), ["role:deep/tasks/main.yml"]),
    "role that ends every bake": (change("ansible/roles/seal/tasks/main.yml"), ["role:seal/tasks/main.yml"]),
    "ansible.cfg": (change("ansible/playbooks/ansible.cfg"), ["ansible:ansible.cfg"]),
    "play": (change("ansible/playbooks/bake.yml"), ["ansible:bake.yml"]),
    "collections": (change("ansible/playbooks/requirements.yml"), ["ansible:requirements.yml"]),
    "plugin": (change("ansible/playbooks/filter_plugins/names.py"), ["ansible:filter_plugins/names.py"]),
    "template": (change("packer/templates/qemu/image.pkr.hcl", "locals {\n}\n"), ["template:qemu/image.pkr.hcl"]),
    "variable": (define("software", "roles", 0, "vars", "port", to=8081), ["var:nginx.port"]),
    "variable deep down": (define("software", "roles", 0, "vars", "sites", "b", to=3), ["var:nginx.sites"]),
    "variable of another type": (define("software", "roles", 0, "vars", "port", to="8080"), ["var:nginx.port"]),
    "order of the keys in a variable": (
        define("software", "roles", 0, "vars", "sites", to={"b": 2, "a": 1}),
        ["var:nginx.sites"],
    ),
    "new variable": (define("software", "roles", 0, "vars", "user", to="www"), ["var:nginx.user"]),
    "roles": (
        define(
            "software", "roles", to=[{"name": "nginx", "vars": IMAGE["software"]["roles"][0]["vars"]}, {"name": "tls"}]
        ),
        ["roles"],
    ),
    "packages": (define("software", "packages", to=["curl", "jq"]), ["packages"]),
    "updates": (define("updates", to="security"), ["updates"]),
    "path of a secret": (define("secrets", "token", "path", to="secret/data/other"), ["secret:token"]),
    "key of a secret": (define("secrets", "token", "key", to="other"), ["secret:token"]),
    "version of a tool": (lambda world: world.tools.update(packer="1.11.3"), ["tool:packer"]),
    "machine": (lambda world: world.machine.update(memory_mib="4096"), ["machine:memory_mib"]),
    "mode": (define("mode", to="chroot"), ["mode", "template:chroot/chroot.pkr.hcl", *QEMU_TEMPLATE]),
    "operating system": (define("os", to="debian-13"), ["os"]),
    "family": (define("os", to="rocky-9"), ["os", "role:nginx/vars/Debian.yml", "role:nginx/vars/RedHat.yml"]),
    "family that no role knows": (
        define("os", to="haiku-1"),
        ["os", "role:nginx/vars/RedHat.yml", "role:nginx/vars/Windows.yml"],
    ),
    "own template": (
        define("template", to="own"),
        ["ansible:bake-windows.yml", "description", "template/mine.pkr.hcl", *QEMU_TEMPLATE],
    ),
    "variables of the family": (change(f"{ROLE}/vars/Debian.yml"), ["role:nginx/vars/Debian.yml"]),
    "variables of all families": (change(f"{ROLE}/vars/main.yml"), ["role:nginx/vars/main.yml"]),
    "what a role checks at its start": (
        change(f"{ROLE}/meta/argument_specs.yml"),
        ["role:nginx/meta/argument_specs.yml"],
    ),
    "build of the system": (
        change("packer/templates/qemu/linux.pkr.hcl", "build { }\n"),
        ["template:qemu/linux.pkr.hcl"],
    ),
    "file of the system": (change("packer/templates/qemu/linux/user-data"), ["template:qemu/linux/user-data"]),
    "base by url": (
        define("base", to={"qemu": {"url": "https://example.org/disk", "sha256": "d" * 64}}),
        ["base"],
    ),
    "base from packages": (
        define("base", to={"qemu": {"debootstrap": {"suite": "bookworm"}}}),
        ["base", "recipe/customize.sh"],
    ),
    "passwords that the seal keeps": (
        define("exemptions", to=[{"rule": PASSWORDS, "reason": "a console needs one"}]),
        ["passwords"],
    ),
}
COUNTS_NOT: dict[str, Callable[[FakeProject], object]] = {
    "exemption from a rule that the seal knows nothing of": define(
        "exemptions", to=[{"rule": "no swap file", "reason": "it is needed at once"}]
    ),
    "another role": change("ansible/roles/unrelated/tasks/main.yml"),
    "template of another mode": change("packer/templates/chroot/chroot.pkr.hcl"),
    "template of another builder": change("packer/templates/aws/image.pkr.hcl"),
    "build of another system": change("packer/templates/qemu/windows.pkr.hcl"),
    "file of another system": change("packer/templates/qemu/windows/unattend.xml"),
    "play of another system": change("ansible/bake-windows.yml"),
    "updates of another family": change("ansible/playbooks/updates/RedHat.yml"),
    "kernels of another family": change("ansible/playbooks/updates/RedHat-kernels.yml"),
    "list of archives of another family": change("ansible/playbooks/layers/archives/RedHat.sh"),
    "variables of another family": change(f"{ROLE}/vars/RedHat.yml"),
    "what refuses a role": lambda world: world.write(f"{ROLE}/meta/bakery.yml", "modes: [vm, chroot]\n"),
    "lint settings": change("ansible/.ansible-lint"),
    "recipe of a base that is not used": change("packer/base/debian/customize.sh"),
    "test": change("packer/tests/test_web.py"),
    "compiled plugin": change("ansible/playbooks/filter_plugins/__pycache__/names.pyc"),
    "read permission": lambda world: (world.root / ROLE / "files/run.sh").chmod(0o600),
    "description": define("description", to="Another"),
    "gate": define("vulnerabilities", to={"fail_on": "high"}),
    "tags": define("tags", to={"team": "web"}),
    "version line": define("version", to="1.1"),
    "channel": define("channel", to="stable"),
    "targets": define("targets", to=["local"]),
    "age": define("rebuild_after_days", to=7),
    "retention": define("retention", to={"deprecate_after_days": 7}),
    "order of variables": define("software", "roles", 0, "vars", to={"sites": {"a": 1, "b": 2}, "port": 8080}),
    "document of a role": change(f"{ROLE}/README.md"),
    "comment in a template": change("packer/templates/qemu/linux.pkr.hcl", "# why\n\nbuild {\n  // how\n}\n"),
}


@pytest.mark.parametrize(("apply", "names"), COUNTS.values(), ids=COUNTS)
def test_what_can_change_the_result_counts(
    world: FakeProject, apply: Callable[[FakeProject], None], names: list[str]
) -> None:
    before = world.inputs()
    apply(world)
    after = world.inputs()
    assert input_key(before) != input_key(after)
    assert sorted(found.input for found in compare_inputs(before, after)) == names


@pytest.mark.parametrize("apply", COUNTS_NOT.values(), ids=COUNTS_NOT)
def test_what_cannot_does_not_count(world: FakeProject, apply: Callable[[FakeProject], object]) -> None:
    before = world.inputs()
    apply(world)
    assert world.inputs() == before


OTHER_FAMILIES = ["role:nginx/vars/RedHat.yml", "role:nginx/vars/Windows.yml"]
OTHER_BUILD = ["template:qemu/windows.pkr.hcl", "template:qemu/windows/unattend.xml"]


@pytest.mark.parametrize(
    ("path", "text", "names"),
    [
        ("ansible/roles/nginx/tasks/more.yml", '- include_vars: "{{ item }}.yml"\n', OTHER_FAMILIES),
        ("ansible/roles/nginx/tasks/more.yml", "- include_vars: {dir: vars}\n", OTHER_FAMILIES),
        ("ansible/roles/nginx/templates/x.j2", "{{ lookup('file', 'vars/RedHat.yml') }}\n", OTHER_FAMILIES),
        ("ansible/roles/tls/tasks/more.yml", "- include_role: {name: nginx, vars_from: RedHat}\n", OTHER_FAMILIES),
        ("ansible/playbooks/bake.yml", "- hosts: all\n  vars_files: [roles/nginx/vars/RedHat.yml]\n", OTHER_FAMILIES),
        ("ansible/playbooks/bake.yml", "- import_playbook: bake-windows.yml\n", ["ansible:bake-windows.yml"]),
        ("packer/templates/qemu/linux.pkr.hcl", 'build { x = file("${path.root}/windows/y") }\n', OTHER_BUILD),
        *(
            ("packer/templates/qemu/windows.pkr.hcl", text, OTHER_BUILD)
            for text in (
                "locals {\n}\n",
                'build {\n}\n  local "x" {\n}\n',
                'variable "x" {\n}\n',
                "variable x {\n}\n",
                "packer{\n}\n",
                'source "qemu" "image" {\n}\n',
                "source qemu image {\n}\n",
                'data "http" "x" {\n}\n',
            )
        ),
    ],
)
def test_what_may_be_read_counts(world: FakeProject, path: str, text: str, names: list[str]) -> None:
    """Files of another family or system, where a file that is read may read them."""
    before = world.inputs()
    world.write(path, text)
    assert set(names) == (world.inputs().keys() - before.keys()) - {f"role:{path.removeprefix('ansible/roles/')}"}


@pytest.mark.parametrize("where", ["recipe", "sha256"])
def test_inputs_of_other_bases(world: FakeProject, where: str) -> None:
    sources = {
        "recipe": {"debootstrap": {"suite": "bookworm"}},
        "sha256": {"url": "https://x.org/d", "sha256": "d" * 64},
    }
    world.image["base"] = {"qemu": sources[where]}
    before = world.inputs()
    world.base = "ignored"
    assert world.inputs() == before
    if where == "recipe":
        world.write("packer/base/debian/customize.sh", "changed")
    else:
        world.image["base"]["qemu"]["sha256"] = "e" * 64
    assert [found.input for found in compare_inputs(before, world.inputs())] == [
        {"recipe": "recipe/customize.sh", "sha256": "base"}[where]
    ]


def test_answers_of_an_installer_count(world: FakeProject) -> None:
    world.image["base"] = {"vsphere": {"iso": {"path": "[ssd] x.iso", "answers": "answers"}}}
    site = {"datacenter": "DC0", "cluster": "C0", "datastore": "ssd", "network": "build"}
    settings = {"server": "vcenter", "library": "images", "build": site, "credentials": "secret/data/vcenter"}
    world.image |= {"targets": ["vsphere"], "distribution": {"vsphere": settings}}
    world.write("packer/images/answers/preseed.cfg", "d-i")
    before = world.inputs()
    world.write("packer/images/answers/preseed.cfg", "changed")
    assert [found.input for found in compare_inputs(before, world.inputs())] == ["answers/preseed.cfg"]


@pytest.mark.parametrize(
    "apply",
    [
        change("ansible/playbooks/bake.yml"),
        change("packer/templates/qemu/image.pkr.hcl", "locals {\n}\n"),
        define("mode", to="chroot"),
    ],
)
def test_provisioning_does_not_count_without_software(world: FakeProject, apply: Callable[[FakeProject], None]) -> None:
    del world.image["software"]
    world.image["updates"] = "none"
    before = world.inputs()
    assert sorted(before) == ["arch", "base", "engine", "os", "tool:qemu-img"]
    apply(world)
    assert world.inputs() == before


@pytest.mark.parametrize("software", [{"packages": ["curl"]}, {"roles": [{"name": "tls"}]}])
def test_provisioning_counts_with_any_software(world: FakeProject, software: dict[str, Any]) -> None:
    world.image["software"] = software
    assert {
        "ansible:bake.yml",
        "template:qemu/image.pkr.hcl",
        "role:seal/tasks/main.yml",
        "mode",
    } <= world.inputs().keys()


def test_place_and_times_do_not_count(world: FakeProject, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("clone") / "deep"
    shutil.copytree(world.root, other, symlinks=True)
    for path in other.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    clone = FakeProject.__new__(FakeProject)
    clone.__dict__ |= world.__dict__ | {"root": other}
    assert clone.inputs() == world.inputs()


def test_secret_values_are_not_inputs(world: FakeProject) -> None:
    assert world.inputs()["secret:token"] == "secret/data/web#token"


def test_roles_that_use_each_other_give_the_same_inputs_in_any_order(world: FakeProject) -> None:
    world.write("ansible/roles/tls/tasks/main.yml", "- include_role: {name: nginx}\n")
    images = []
    for role in ("nginx", "tls"):
        world.image["software"]["roles"] = [{"name": role}]
        images.append(Definition.model_validate_json(json.dumps(world.image)))

    def inputs(order: list[ImageDefinition]) -> dict[str, Inputs]:
        prints = world.fingerprints()
        return {image.software.roles[0].name: prints.inputs(image, world.root, "") for image in order}

    forward = inputs(images)
    assert forward == inputs(images[::-1])
    assert "role:nginx/files/run.sh" in forward["tls"]


def test_computed_and_foreign_roles_are_no_error(world: FakeProject) -> None:
    text = '- include_role: {name: "{{ item }}"}\n- import_role: {name: galaxy.role}\n- debug: {msg: !unsafe "{{"}\n'
    world.write("ansible/roles/nginx/tasks/main.yml", text)
    assert not any("galaxy" in name or "{" in name for name in world.inputs())


def test_bad_dependencies_say_where(world: FakeProject) -> None:
    world.write("ansible/roles/nginx/meta/main.yml", "galaxy_info: {}\ndependencies:\n  - {src: x}\n")
    with pytest.raises(UsageError, match="a dependency must be a role's name") as caught:
        world.inputs()
    assert caught.value.where == f"{world.root}/ansible/roles/nginx/meta/main.yml:3"


@pytest.mark.parametrize("name", [".#main.yml", ".main.yml.swp"])
def test_what_an_editor_keeps_beside_an_open_file_is_no_input(world: FakeProject, name: str) -> None:
    before = world.inputs()
    for folder in ("roles/nginx/tasks", "playbooks"):
        (world.root / "ansible" / folder / name).symlink_to("user@host.1234:1700000000")
    world.write(f"ansible/roles/nginx/files/{name}", "user@host.1234:1700000000")
    assert world.inputs() == before


@pytest.mark.parametrize("text", ["", "galaxy_info: {}\n", "dependencies:\n", "dependencies: []\n"])
def test_roles_without_dependencies(world: FakeProject, text: str) -> None:
    world.write("ansible/roles/nginx/meta/main.yml", text)
    assert "role:nginx/meta/main.yml" in world.inputs()


ITEMS = st.lists(st.tuples(st.text(), st.text()), unique_by=lambda item: item[0])


@given(ITEMS.flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_key_does_not_depend_on_order(orders: tuple[list[tuple[str, str]], list[tuple[str, str]]]) -> None:
    one, other = orders
    assert input_key(dict(one)) == input_key(dict(other))


@given(st.dictionaries(st.text(), st.text()), st.dictionaries(st.text(), st.text()))
def test_key_tells_all_inputs_apart(one: dict[str, str], other: dict[str, str]) -> None:
    assert (input_key(one) == input_key(other)) == (one == other)
    assert bool(compare_inputs(one, other)) == (one != other)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    max_leaves=10,
)


@given(JSON)
def test_canonical_text_is_the_value(value: object) -> None:
    assert json.loads(canonical_json(value)) == value
    assert canonical_json(json.loads(json.dumps(value))) == canonical_json(value)


def test_a_shipped_role_counts_until_the_project_has_its_own(world: FakeProject, tmp_path: Path) -> None:
    before = world.inputs()
    world.shipped = tmp_path / "shipped"
    (world.shipped / "ansible").mkdir(parents=True)
    shutil.move(world.root / "ansible" / "roles", world.shipped / "ansible" / "roles")
    shutil.copytree(world.root / "elsewhere", world.shipped / "elsewhere")
    assert world.inputs() == before, "the same files give the same key wherever they are"
    world.write("ansible/roles/tls/tasks/main.yml", "- debug: {msg: own}\n")
    world.write("ansible/roles/tls/tasks/more.yml", "[]\n")
    after = world.inputs()
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {"role:tls/tasks/main.yml", "role:tls/tasks/more.yml"}


ROOT = Path(__file__).parents[4]


class Image(NamedTuple):
    """What decides which files a bake reads. `roles` holds those that its roles use, too."""

    os: str
    builder: str
    mode: Mode
    roles: tuple[str, ...]


IMAGES = [
    Image("debian-12", "qemu", "vm", ("nginx",)),
    Image("ubuntu-24.04", "aws", "vm", ("python_app",)),
    Image("debian-12", "qemu", "chroot", ("vault", "vendor_file", "fetch_parameter")),
    Image("rocky-9", "azure", "vm", ("gitlab_runner", "vendor_file", "fetch_parameter")),
    Image("rocky-9", "vsphere", "vm", ("ssm_agent", "vendor_file")),
    Image("windows-2022", "qemu", "vm", ("windows_base",)),
    Image("windows-2022", "aws", "vm", ("windows_base",)),
    Image("windows-2022", "vsphere", "vm", ()),
]
FAMILY_OF = {"debian": "Debian", "ubuntu": "Debian", "rocky": "RedHat", "windows": "Windows"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the roles, playbooks and templates of this project."""
    root = tmp_path_factory.mktemp("tree")
    for folder in ("ansible", "packer/templates"):
        shutil.copytree(ROOT / folder, root / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def inputs_of(root: Path, image: Image) -> Inputs:
    sources = {
        "azure": {"image": "base", "access_from": ("203.0.113.7/32",)},
        "vsphere": {"template": "base"},
    }
    source = sources.get(image.builder, {"image": "base"})
    definition = Definition.model_validate_json(json.dumps(IMAGE)).model_copy(
        update={
            "os": image.os,
            "mode": image.mode,
            "targets": ("local" if image.builder == "qemu" else image.builder,),
            "base": type(Definition.model_validate_json(json.dumps(IMAGE)).base).model_validate(
                {image.builder: source}
            ),
            "software": Software(packages=("curl",), roles=tuple(RoleUse(name=name) for name in image.roles)),
        }
    )
    project = Project(root, root / "packer/images", root / ".bakery")
    return Fingerprints(project, TOOLS, MACHINE).inputs(definition, root / "web.yaml", "")


def is_read(root: Path, path: Path, image: Image) -> bool:
    """Whether the bake of an image reads a file, after the documentation of Ansible ("Roles") and Packer.

    Ansible loads main.yml of a role's tasks, handlers, defaults, vars and meta, and meta/argument_specs.yml; tasks name
    the rest. Packer reads each *.pkr.hcl of the folder, and builds what `-only` names.
    """
    family = FAMILY_OF[image.os.partition("-")[0]]
    system = "windows" if family == "Windows" else "linux"
    match path.relative_to(root).parts:
        case ["ansible", "roles", role, *rest]:
            if role not in (*image.roles, "seal") or rest == ["meta", "bakery.yml"]:
                return False
            return rest[0] != "vars" or rest[1] in (f"{family}.yml", "main.yml")
        case ["ansible", "playbooks", "bake.yml"]:
            return system == "linux"
        case ["ansible", "playbooks", "bake-windows.yml"]:
            return system == "windows"
        case ["ansible", "playbooks", "updates", name]:  # bake.yml includes them by the family
            return name in (f"{family}.yml", f"{family}-kernels.yml")
        case ["ansible", "playbooks", "layers", "archives", name]:  # and keep.yml these
            return name == f"{family}.sh"
        case ["ansible", *rest]:
            return rest[0] == "playbooks"
        case ["packer", "templates", _]:  # what folders link
            links = [link for link in root.rglob("*") if link.is_symlink() and link.resolve() == path.resolve()]
            return any(is_read(root, link, image) for link in links)
        case ["packer", "templates", folder, *rest]:
            other = {"linux", "windows"} - {system}
            mine = folder == ("chroot" if image.mode == "chroot" else image.builder)
            return mine and rest[0].removesuffix(".pkr.hcl") not in other
    raise AssertionError(path)


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: f"{image.os}-{image.builder}-{image.mode}")
def test_the_inputs_are_the_files_that_the_bake_reads(tree: Path, image: Image) -> None:
    places = {"ansible": "ansible/playbooks", "role": "ansible/roles", "template": "packer/templates"}
    names = [name.partition(":") for name in inputs_of(tree, image) if name.partition(":")[0] in places]
    files = [path for path in tree.rglob("*") if path.is_file() and path.parent != tree / "packer/templates"]
    assert {tree / places[kind] / name for kind, _, name in names} == {
        path for path in files if is_read(tree, path, image)
    }


@settings(deadline=None)
@given(data=st.data(), image=st.sampled_from(IMAGES))
def test_a_change_counts_if_the_bake_reads_the_file(tree: Path, data: st.DataObject, image: Image) -> None:
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    path = data.draw(st.sampled_from(files))
    content, mode = path.read_bytes(), path.stat().st_mode
    # A build that defines something for other builds counts for them: test_what_may_be_read_counts.
    build = st.integers(0, 9).map(lambda number: content + f'\nbuild {{\n  name = "{number}"\n}}\n'.encode())
    comment = st.integers(0, 9).map(lambda number: content + f"\n# {number}\n".encode())  # some YAML must stay valid
    other = st.binary().filter(lambda other: other != content)
    changed = build if path.name.endswith(".pkr.hcl") else comment if path.suffix == ".yml" else other
    before = input_key(inputs_of(tree, image))
    try:
        if data.draw(st.booleans(), label="content"):
            path.write_bytes(data.draw(changed))
        else:
            path.chmod(mode ^ 0o100)
        assert (input_key(inputs_of(tree, image)) != before) is is_read(tree, path, image)
    finally:
        path.write_bytes(content)
        path.chmod(mode)
