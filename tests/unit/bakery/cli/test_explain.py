"""`bakery explain` on real definitions and a catalog in a folder."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from bakery.engine.explain import Explanation
from bakery.model import documents
from unit.bakery.cli.cli_runner import CliRunner


def read_json(bakery: CliRunner, *arguments: str) -> Explanation:
    answer = bakery("explain", *arguments, "--json")
    assert (answer.code, answer.err) == (0, "")
    return documents.parse(Explanation, answer.out.encode(), "stdout")


def test_each_changed_input_has_lines_of_a_diff(bakery: CliRunner) -> None:
    page = bakery.write("ansible/roles/nginx/files/page.html", "a file\n")
    first = hashlib.sha256(page.read_bytes()).hexdigest()
    bakery.write("ansible/roles/nginx/files/gone", "")
    bakery.edit("web", "software:\n", "software:\n  packages: [curl, jq]\n")
    bakery.line()
    bakery.edit("web", "nginx_message: hello", "nginx_message: goodbye")
    bakery.edit("web", "packages: [curl, jq]", "packages: [curl, vim]")
    page = bakery.write("ansible/roles/nginx/files/page.html", "a new file\n")
    second = hashlib.sha256(page.read_bytes()).hexdigest()
    (page.parent / "gone").unlink()
    answer = bakery("explain", "web")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == (
        "web: 4 inputs changed\n"
        "--- web 1.0.0\n"
        "+++ web now\n"
        "- packages: jq\n"
        "+ packages: vim\n"
        '- var:nginx.nginx_message: "hello"\n'
        '+ var:nginx.nginx_message: "goodbye"\n'
        f"- role:nginx/files/gone: 644 {hashlib.sha256(b'').hexdigest()[:12]}\n"
        f"- role:nginx/files/page.html: 644 {first[:12]}\n"
        f"+ role:nginx/files/page.html: 644 {second[:12]}\n"
        "\n"
        'a run bakes web 1.0.1: packages: ["curl","jq"] -> ["curl","vim"] and 3 more\n'
    )
    explanation = read_json(bakery, "web")
    assert (explanation.before, explanation.after, explanation.action) == ("1.0.0", "", "bake")
    assert explanation.changes[-1].after == f"644 {second}"
    assert explanation.next_version == "1.0.1"


def test_an_order_is_a_difference(bakery: CliRunner) -> None:
    bakery.edit("web", "software:\n", "software:\n  packages: [curl, jq]\n")
    bakery.line()
    bakery.edit("web", "packages: [curl, jq]", "packages: [jq, curl]")
    lines = bakery("explain", "web").out.splitlines()
    assert lines[3:5] == ['- packages: ["curl","jq"]', '+ packages: ["jq","curl"]']


def test_an_image_without_a_changed_input(bakery: CliRunner) -> None:
    assert bakery("explain", "base").out == (
        "base: no complete version to compare with\n\na run bakes base 1.0.0: never baked\n"
    )
    assert bakery("explain", "web").out == (
        "web: its inputs are known after the bake of its parent\n\n"
        "a run decides after the bake of its parent on web: waits for base\n"
    )
    bakery.line()
    assert bakery("explain", "web").out == (
        "web: the inputs of 1.0.0 and of now are equal\n\na run keeps web 1.0.0: inputs unchanged; not refreshed\n"
    )
    assert read_json(bakery, "web").action == "keep"


def test_versions(bakery: CliRunner) -> None:
    for message in ("hello", "good day", "goodbye"):
        bakery.edit("web", "nginx_message: hello", f"nginx_message: {message}")
        bakery.line()
        bakery.edit("web", f"nginx_message: {message}", "nginx_message: hello")
    both = (
        "web: 1 input changed\n--- web 1.0.{}\n+++ web 1.0.2\n"
        '- var:nginx.nginx_message: "{}"\n+ var:nginx.nginx_message: "goodbye"\n'
    )
    assert bakery("explain", "web", "1.0.2").out == both.format(1, "good day")
    assert bakery("explain", "web", "1.0.0", "stable").out == both.format(0, "hello")
    assert bakery("explain", "web", "1.0.1", "1.0.1").out == "web: the inputs of 1.0.1 and of 1.0.1 are equal\n"
    assert read_json(bakery, "web", "1.0.2").action is None


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("wbe",), 64, "no image named 'wbe'\nhint: did you mean 'web'?"),
        (("web", "1.0.0"), 1, "web 1.0.0 (x86_64) is the first complete version"),
        (("web", "beta"), 64, "web has no version or channel 'beta' (x86_64)\nhint: channels: stable"),
        (("web", "1.0.0", "1.0.0", "1.0.0"), 64, "3 versions\nhint: explain takes one or two"),
    ],
)
def test_what_cannot_be_explained(bakery: CliRunner, arguments: tuple[str, ...], code: int, message: str) -> None:
    bakery.line()
    answer = bakery("explain", *arguments)
    assert (answer.code, answer.out, answer.err) == (code, "", f"error: {message}\n")


def test_the_steps_that_stay_as_they_were_are_named(bakery: CliRunner) -> None:
    bakery.edit("web", "software:\n", "software:\n  packages: [curl]\n")
    bakery.line()
    bakery.edit("web", "nginx_message: hello", "nginx_message: goodbye")
    last = bakery("explain", "web").out.splitlines()[-1]
    assert last == "nothing changed up to the packages: the bake starts from the layer there, if it is kept and holds"
    assert read_json(bakery, "web").same_until == "packages"


def test_no_layer_is_promised_if_no_input_changed(bakery: CliRunner) -> None:
    """Package updates or a newer base may be the reason, and their layers do not hold."""
    bakery.edit("web", "software:\n", "software:\n  packages: [curl]\n")
    bakery.baked_at = (datetime.now(UTC) - timedelta(days=30)).isoformat()
    bakery.line()
    bakery.edit("web", "software:\n", "rebuild_after_days: 7\nsoftware:\n")
    answer = bakery("explain", "web").out
    assert answer.splitlines()[-1] == "a run bakes web 1.0.1: 1.0.0 is 30 days old (rebuild_after_days: 7)"
    assert read_json(bakery, "web").same_until == ""
