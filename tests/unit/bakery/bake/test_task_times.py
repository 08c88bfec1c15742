"""The recap of a bake's log, as ansible-core 2.19 with ansible.posix 2.1 wrote it."""

from pathlib import Path

import pytest

from bakery.bake.task_times import TaskTime, parse_recaps, read_task_times
from doubles.packer import RECAP

LONG = "Write the configuration of a site with a name so long that the line of the recap has no room for dashes"
TASKS = [
    TaskTime("nginx", "Wait --- for 3.00s", 4.21),
    TaskTime("", "Install packages", 2.01),
    TaskTime("nginx", LONG, 1.0),
]


@pytest.mark.parametrize("prefix", ["", "2026-11-23T15:48:34Z:     qemu.image: ", "    null.chroot (shell-local): "])
def test_the_tasks_of_a_recap(prefix: str) -> None:
    """As Ansible prints it, and as Packer does of a guest and of a chroot."""
    assert list(parse_recaps(f"{prefix}{line}\n" for line in RECAP)) == TASKS


def test_a_task_of_a_thousand_seconds_has_no_dashes() -> None:
    line = "vault : Wait" + " " * 2 + "1234.56s"
    assert list(parse_recaps([*RECAP[:3], line])) == [TaskTime("vault", "Wait", 1234.56)]


def test_tasks_of_several_plays_by_time(tmp_path: Path) -> None:
    log = tmp_path / "bake.log"
    log.write_text("\n".join([*RECAP, "", "==> Builds finished", *RECAP[:3], "seal : Run it ------ 3.00s", ""]))
    assert [task.seconds for task in read_task_times(log)] == [4.21, 3.0, 2.01, 1.0]


@pytest.mark.parametrize(
    "lines", [[], ["nginx : Install ------ 1.00s"], ["TASKS RECAP ***", "a - 1.00s"], ["===", "a - 1.00s"]]
)
def test_a_line_outside_of_a_recap_is_no_task(lines: list[str]) -> None:
    assert list(parse_recaps(lines)) == []
