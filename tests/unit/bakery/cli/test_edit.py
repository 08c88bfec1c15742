"""`add`, `remove` and `bump` change one line of a definition, or say why not and change nothing."""

import difflib

import pytest

from unit.bakery.cli.cli_runner import WEB, CliRunner


def changed(bakery: CliRunner) -> list[str]:
    """Lines of web.yaml that are not as they were."""
    now = (bakery.project.definitions / "web.yaml").read_text()
    lines = list(difflib.unified_diff(WEB.splitlines(), now.splitlines(), n=0, lineterm=""))
    return [line for line in lines[2:] if not line.startswith("@@")]


def test_packages_are_added_in_one_line(bakery: CliRunner) -> None:
    answer = bakery("add", "web", "jq", "curl=7.88.1-10")
    assert (answer.code, answer.err) == (0, "")
    assert changed(bakery) == ["+  packages: [jq, curl=7.88.1-10]"]
    assert "packages: [jq, curl=7.88.1-10]" in answer.out
    assert bakery("plan", "web").code == 0


def test_the_plan_says_what_comes_of_it(bakery: CliRunner) -> None:
    bakery.line("web")
    answer = bakery("add", "web", "jq")
    assert 'packages: [] -> ["jq"]' in answer.out
    assert answer.out.endswith("1 of 2 images needs work\n")


def test_packages_are_taken_out(bakery: CliRunner) -> None:
    bakery("add", "web", "jq", "curl")
    assert bakery("remove", "web", "jq").code == 0
    assert changed(bakery) == ["+  packages: [curl]"]


@pytest.mark.parametrize(("flag", "version"), [((), "1.1"), (("--minor",), "1.1"), (("--major",), "2.0")])
def test_the_next_line_of_versions(bakery: CliRunner, flag: tuple[str, ...], version: str) -> None:
    bakery.line("web")
    answer = bakery("bump", "web", *flag)
    assert (answer.code, answer.err) == (0, "")
    assert changed(bakery) == ['-version: "1.0"', f'+version: "{version}"']
    assert f"1.0.0 -> {version}.0  release line {version} has no version yet" in answer.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "wbe", "jq"), "error: no image named 'wbe'\nhint: did you mean 'web'?\n"),
        (("add", "web"), "error: Missing argument 'PACKAGE'.\nhint: see 'bakery add --help'\n"),
        (("add", "web", "jq="), "error: 'jq=' is not the name of a package\nhint: write NAME or NAME=VERSION\n"),
        (("add", "web", "jq", "jq"), "error: packer/images/web.yaml:9: the package 'jq' is already listed\n"),
        (("remove", "web", "jq"), "error: packer/images/web.yaml:9: the package 'jq' is not listed\n"),
        (("update", "web", "jq"), "error: no image named 'jq'\nhint: 'bakery add web jq' adds packages\n"),
        (("bump", "wbe"), "error: no image named 'wbe'\nhint: did you mean 'web'?\n"),
        (("bump", "web", "--patch"), "error: No such option: --patch\nhint: see 'bakery bump --help'\n"),
    ],
    ids=["image", "no package", "name", "twice", "not there", "old verb", "bump of no image", "option"],
)
def test_bad_input_changes_nothing(bakery: CliRunner, arguments: tuple[str, ...], message: str) -> None:
    answer = bakery(*arguments)
    assert answer.code == 64
    assert answer.err == message
    assert changed(bakery) == []


def test_packages_of_windows_are_refused(bakery: CliRunner) -> None:
    text = WEB.replace("os: debian-12", "os: windows-2022").replace("  roles:\n    - name: nginx\n", "  roles: []\n")
    text = text.replace("      vars:\n        nginx_message: hello\n", "").replace("tests: [base]\n", "")
    bakery.write("packer/images/web.yaml", text)
    answer = bakery("add", "web", "jq")
    assert answer.code == 64
    assert "packages cannot be installed on Windows" in answer.err
    assert (bakery.project.definitions / "web.yaml").read_text() == text


def test_a_link_stays_a_link(bakery: CliRunner) -> None:
    file = bakery.project.definitions / "web.yaml"
    real = bakery.write("elsewhere/web.yaml", WEB)
    file.unlink()
    file.symlink_to(real)
    assert bakery("bump", "web").code == 0
    assert file.is_symlink()
    assert 'version: "1.1"' in real.read_text()


@pytest.mark.parametrize("arguments", [("add", "web", "jq"), ("remove", "web", "nginx"), ("bump", "web")])
def test_a_definition_with_settings_of_clouds_is_edited(bakery: CliRunner, arguments: tuple[str, ...]) -> None:
    path = bakery.project.definitions / "web.yaml"
    if arguments[0] == "remove":
        bakery("add", "web", "nginx")
    bakery.edit("web", "targets: [local]", "targets: [local, aws]\ndistribution: {aws: {regions: [eu-west-1]}}")
    before = path.read_text()
    answer = bakery(*arguments)
    assert (answer.code, "error" in answer.err) == (0, False)
    assert path.read_text() != before
