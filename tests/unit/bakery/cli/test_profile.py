"""`bakery bake --profile` on the log of a bake."""

from doubles.packer import RECAP
from unit.bakery.cli.cli_runner import CliRunner


def test_the_longest_tasks_with_role_seconds_and_share(bakery: CliRunner) -> None:
    more = [f"tls : Step {number} ------ {number / 100:.2f}s" for number in range(30, 0, -1)]
    bakery.logs["base"] = bakery.write("bake.log", "\n".join([*RECAP[:-1], *more, ""]))
    answer = bakery("bake", "base", "--profile")
    assert answer.code == 0
    lines = answer.out.partition("\n\n")[2].splitlines()
    assert lines[:4] == [
        "base 1.0.0: 33 tasks in 11.9 s",
        "SECONDS  SHARE  ROLE   TASK",
        "4.2      35%    nginx  Wait --- for 3.00s",
        "2.0      17%    -      Install packages",
    ]
    assert len(lines) == 22
    assert lines[-1] == "0.1      1%     tls    Step 14"


def test_a_bake_without_tasks(bakery: CliRunner) -> None:
    assert bakery("bake", "base", "--profile").out.endswith("\n\nbase 1.0.0: its log has no times of tasks\n")


def test_one_result_on_standard_output(bakery: CliRunner) -> None:
    answer = bakery("bake", "base", "--profile", "--json")
    assert (answer.code, answer.out, answer.err) == (64, "", "error: --json and --profile exclude each other\n")
    assert bakery.did == []
