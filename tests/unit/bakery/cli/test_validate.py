"""Definitions are wrong by file and line, and nothing was started."""

from xml.etree import ElementTree

import pytest

from bakery.bake import validator
from bakery.host import files
from bakery.host.errors import BakeryError, UsageError
from unit.bakery.cli.cli_runner import WEB, CliRunner

OK = "packer/images/base.yaml: ok\npacker/images/web.yaml: ok\n"
EXEMPTIONS = "exemptions:\n  - {rule: no swap files, reason: it needs one}\ntests: [base]"
AWS = "targets: [aws]\ndistribution:\n  aws:\n    regions: [eu-central-1, {region}]\n"


Packer = dict[str, BakeryError | None]


@pytest.fixture
def packer(bakery: CliRunner, monkeypatch: pytest.MonkeyPatch) -> Packer:
    """What Packer's validator says of each template that it is given."""
    said: Packer = {}

    def validate(_project: object, template: validator.Template, _toolchain: object) -> None:
        if error := said.setdefault(str(template), None):
            raise error

    monkeypatch.setattr(validator, "validate_template", validate)
    return said


def test_right_definitions(bakery: CliRunner, packer: Packer) -> None:
    answer = bakery("validate")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == OK + "packer/templates/qemu qemu.linux: ok\n"
    assert list(packer) == ["packer/templates/qemu qemu.linux"], "the base has no software: Packer is never asked"


def test_one_image_only(bakery: CliRunner, packer: Packer) -> None:
    bakery.edit("base", "tests: [base]", "tests: [nothing]")
    answer = bakery("validate", "web")
    assert (answer.code, answer.out) == (
        0,
        "packer/images/web.yaml: ok\npacker/templates/qemu qemu.linux: ok\n",
    )


def test_a_template_that_packer_refuses(bakery: CliRunner, packer: Packer) -> None:
    packer["packer/templates/qemu qemu.linux"] = UsageError("Packer refuses the template", where="linux.pkr.hcl:7")
    answer = bakery("validate")
    assert (answer.code, answer.out) == (64, OK)
    assert answer.err == "error: linux.pkr.hcl:7: Packer refuses the template\n"


def test_packer_is_not_asked_about_wrong_definitions(bakery: CliRunner, packer: Packer) -> None:
    bakery.edit("base", "tests: [base]", "tests: [nothing]")
    bakery.edit("web", "name: nginx", "name: ngix")
    answer = bakery("validate")
    assert (answer.code, answer.out, packer) == (64, "", {})
    assert answer.err.startswith("error: packer/images/base.yaml:10: no test named 'nothing'\nhint: ")
    assert answer.err.endswith(
        "\nerror: packer/images/web.yaml:11: no role named 'ngix'\nhint: did you mean 'nginx'?\n"
    )


def test_each_template_once(bakery: CliRunner, packer: Packer) -> None:
    """A thousand images take no longer than one; a template of somebody's own is another."""
    for number in range(3):
        bakery.write(f"packer/images/web{number}.yaml", WEB.replace("name: web", f"name: web{number}"))
    bakery.write("packer/images/own/own.pkr.hcl", "# mine\n")
    bakery.edit("web", "targets:", "template: own\ntargets:")
    assert bakery("validate").code == 0
    assert sorted(packer) == ["own", "packer/templates/qemu qemu.linux"]


def test_a_template_of_ones_own_that_is_not_there(bakery: CliRunner, packer: Packer) -> None:
    bakery.edit("web", "targets:", "template: own\ntargets:")
    answer = bakery("validate")
    assert (answer.code, packer) == (64, {})
    assert answer.err.startswith("error: packer/images/web.yaml:15: no *.pkr.hcl in 'own'\nhint: ")


def test_a_report_for_ci(bakery: CliRunner, packer: Packer) -> None:
    packer["packer/templates/qemu qemu.linux"] = UsageError("refused", where="linux.pkr.hcl:7", hint="mend it")
    assert bakery("validate", "--junit", "report.xml").code == 64
    suite = ElementTree.parse(bakery.project.root / "report.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    failure = suite.find("testcase[@name='packer/templates/qemu qemu.linux']/failure")
    assert failure is not None
    assert (failure.get("message"), failure.text) == ("refused", "linux.pkr.hcl:7: refused (mend it)")


def test_a_report_of_files_that_cannot_be_read(bakery: CliRunner) -> None:
    bakery.edit("web", "description:", "desription:")
    assert bakery("validate", "--junit", "report.xml").code == 64
    suite = ElementTree.parse(bakery.project.root / "report.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1"), "the other file is checked all the same"


def test_every_mistake_of_every_file_is_reported_at_once(bakery: CliRunner) -> None:
    bakery.edit("base", "arch: x86_64", "arch: x86")
    bakery.edit("base", "description:", "desription:")
    bakery.edit("web", "nginx_message: hello", "nginx_massage: hello\n        nginx_prot: 80")
    bakery.edit("web", "tests: [base]", "tests: [bose, wob]")
    bakery.write("packer/images/other.yaml", "name: other\n")
    answer = bakery("validate")
    assert answer.code == 64
    for mistake in (
        "base.yaml:4: 'arch' is 'x86'",
        "base.yaml:2: unknown key 'desription'\nhint: did you mean 'description'?",
        "other.yaml:1: 'description' is missing",
        "the role nginx has no variable 'nginx_massage'\nhint: did you mean 'nginx_message'?",
        "the role nginx has no variable 'nginx_prot'\nhint: did you mean 'nginx_port'?",
        "no test named 'bose'",
        "no test named 'wob'",
    ):
        assert mistake in answer.err, answer.err


def test_lineages_that_are_wrong_are_all_reported(bakery: CliRunner) -> None:
    for name in ("one", "two"):
        text = (bakery.project.definitions / "web.yaml").read_text()
        bakery.write(
            f"packer/images/{name}.yaml",
            text.replace("name: web", f"name: {name}").replace("image: base", "image: bse"),
        )
    answer = bakery("validate")
    assert answer.code == 64
    assert "'one' is built on 'bse', which is not defined\nhint: did you mean 'base'?\n" in answer.err
    assert "'two' is built on 'bse', which is not defined\nhint: did you mean 'base'?\n" in answer.err
    assert "one.yaml: ok" not in answer.out


def test_a_file_that_cannot_be_read_hides_no_other_lineage(bakery: CliRunner) -> None:
    """Its own children are not wrong: the parent may be in it."""
    text = (bakery.project.definitions / "web.yaml").read_text()
    bakery.write("packer/images/one.yaml", text.replace("name: web", "name: one").replace("image: base", "image: bse"))
    bakery.edit("base", "tests: [base]", "testss: [base]")
    answer = bakery("validate")
    assert answer.code == 64
    assert "base.yaml:" in answer.err and "'testss'" in answer.err
    assert "'one' is built on 'bse', which is not defined" in answer.err
    assert "'web' is built on" not in answer.err


def test_a_report_that_cannot_be_written_is_refused_first(bakery: CliRunner, packer: Packer) -> None:
    answer = bakery("validate", "--junit", "packer/images/web.yaml/report.xml")
    assert (answer.code, answer.out, packer) == (64, "", {})
    assert answer.err.startswith(
        "error: packer/images/web.yaml/report.xml: cannot be written: packer/images/web.yaml is not a folder\n"
    )


def test_a_report_that_cannot_be_written_any_more_hides_nothing(bakery: CliRunner, packer: Packer) -> None:
    def fail(*_: object) -> None:
        raise BakeryError("cannot be written")

    bakery.monkeypatch.setattr(files, "write_atomic", fail)
    answer = bakery("validate", "--junit", "report.xml")
    assert (answer.code, answer.out) == (1, OK + "packer/templates/qemu qemu.linux: ok\n")
    packer["packer/templates/qemu qemu.linux"] = UsageError("refused", where="linux.pkr.hcl:7")
    assert bakery("validate", "--junit", "report.xml").err == "error: linux.pkr.hcl:7: refused\n"


def test_another_folder(bakery: CliRunner, packer: Packer) -> None:
    bakery.write("elsewhere/web.yaml", WEB.replace("image: base", "debootstrap: {suite: bookworm}"))
    answer = bakery("validate", "--definitions", "elsewhere")
    assert answer.out == "elsewhere/web.yaml: ok\npacker/templates/qemu qemu.linux: ok\n"


@pytest.mark.parametrize(
    ("old", "new", "line", "message", "hint"),
    [
        ("name: nginx", "name: ngix", 11, "no role named 'ngix'", "did you mean 'nginx'?"),
        (
            "nginx_message:",
            "nginx_mesage:",
            13,
            "the role nginx has no variable 'nginx_mesage'",
            "did you mean 'nginx_message'?",
        ),
        ("tests: [base]", "tests: [base, web]", 14, "no test named 'web'", "packer/tests/test_web.py"),
        ("tests: [base]", "tests: [bsae]", 14, "no test named 'bsae'", "did you mean 'base'?"),
        ("tests: [base]", EXEMPTIONS, 15, "no rule named 'no swap files'", "did you mean 'no swap file'?"),
        ("targets: [local]\n", AWS.format(region="eu-wset-1"), 18, "no AWS region 'eu-wset-1'", "'eu-west-1'"),
        ("version:", "mode: chroot\nversion:", 12, "does not declare that it works in mode chroot", "use mode: vm"),
        ("os: debian-12", "os: rocky-9", 11, "the role nginx works on Debian, and rocky-9 is RedHat", "remove it"),
        ("image: base", "image: bass", 8, "built on 'bass', which is not defined", "did you mean 'base'?"),
        ("description:", "desription:", 2, "desription", "did you mean 'description'?"),
    ],
    ids=["role", "variable", "test", "misspelt test", "rule", "region", "mode", "family", "parent", "key"],
)
@pytest.mark.parametrize("verb", ["validate", "bake"])
def test_a_wrong_one(bakery: CliRunner, verb: str, old: str, new: str, line: int, message: str, hint: str) -> None:
    bakery.line("base")
    bakery.did.clear()
    bakery.edit("web", old, new)
    answer = bakery(verb, "web")
    assert answer.code == 64
    error = next(text for text in answer.err.splitlines() if text.startswith("error: "))
    assert error.startswith(f"error: packer/images/web.yaml:{line}: ")
    assert message in error
    assert hint in answer.err
    assert bakery.did == []
    assert bakery.states("web") == {}


def test_an_unknown_image(bakery: CliRunner) -> None:
    answer = bakery("validate", "wbe")
    assert answer.code == 64
    assert answer.err == "error: no image named 'wbe'\nhint: did you mean 'web'?\n"


def test_no_definitions(bakery: CliRunner) -> None:
    answer = bakery("validate", "--definitions", "nowhere")
    assert answer.code == 64
    assert "error: nowhere: no definitions (*.yaml) found\nhint: " in answer.err


def test_image_tests_of_windows_are_refused(bakery: CliRunner) -> None:
    bakery.edit("web", "os: debian-12", "os: windows-2022")
    answer = bakery("validate", "web")
    assert (answer.code, "tests: image tests log in over SSH" in answer.err) == (64, True)
