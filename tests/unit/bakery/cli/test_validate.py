"""Definitions are wrong by file and line, and nothing was started."""

import pytest

from unit.bakery.cli.workshop import WEB, Workshop

AWS = "targets: [aws]\ndistribution:\n  aws:\n    regions: [eu-central-1, {region}]\n"


def test_right_definitions(bakery: Workshop) -> None:
    answer = bakery("validate")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "packer/images/base.yaml: ok\npacker/images/web.yaml: ok\n"


def test_one_image_only(bakery: Workshop) -> None:
    bakery.edit("base", "tests: [base]", "tests: [nothing]")
    answer = bakery("validate", "web")
    assert (answer.code, answer.out) == (0, "packer/images/web.yaml: ok\n")


def test_another_folder(bakery: Workshop) -> None:
    bakery.write("elsewhere/web.yaml", WEB.replace("image: base", "debootstrap: {suite: bookworm}"))
    answer = bakery("validate", "--definitions", "elsewhere")
    assert answer.out == "elsewhere/web.yaml: ok\n"


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
        ("tests: [base]", "tests: [base, web]", 14, "no test named 'web'", "tests/images/test_web.py"),
        ("targets: [local]\n", AWS.format(region="eu-wset-1"), 18, "no AWS region 'eu-wset-1'", "'eu-west-1'"),
        ("version:", "mode: chroot\nversion:", 12, "not declared fit for mode chroot", "use mode: vm"),
        ("os: debian-12", "os: rocky-9", 11, "the role nginx works on Debian, and rocky-9 is RedHat", "leave it out"),
        ("image: base", "image: bass", 8, "built on 'bass', which is not defined", "did you mean 'base'?"),
        ("description:", "desription:", 2, "desription", "did you mean 'description'?"),
    ],
    ids=["role", "variable", "test", "region", "mode", "family", "parent", "key"],
)
@pytest.mark.parametrize("verb", ["validate", "bake"])
def test_a_wrong_one(bakery: Workshop, verb: str, old: str, new: str, line: int, message: str, hint: str) -> None:
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


def test_an_unknown_image(bakery: Workshop) -> None:
    answer = bakery("validate", "wbe")
    assert answer.code == 64
    assert answer.err == "error: no image named 'wbe'\nhint: did you mean 'web'?\n"


def test_no_definitions(bakery: Workshop) -> None:
    answer = bakery("validate", "--definitions", "nowhere")
    assert answer.code == 64
    assert "error: nowhere: no definitions (*.yaml) found\nhint: " in answer.err
