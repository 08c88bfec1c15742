"""Reads how long each task of a bake took from its log, where the callback ansible.posix.profile_tasks writes it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bakery.bake.build_output import PREFIX

# In the words of ansible.posix 2.1: a heading, the time, a line of `=`, and then each task, the longest first.
HEADING = re.compile(r"^TASKS RECAP \*")
RULE = re.compile(r"^=+ *$")
ENTRY = re.compile(r"^(?:(?P<role>[\w.]+) : )?(?P<name>.+?) -* (?P<seconds>\d+\.\d\d)s$")


@dataclass(frozen=True)
class TaskTime:
    """A task of Ansible; `role` is empty for one of the playbook."""

    role: str
    name: str
    seconds: float


def read_task_times(log: Path) -> list[TaskTime]:
    """The tasks of a bake's log, the longest first; empty if Ansible did not run, or a template set it up otherwise."""
    with log.open(encoding="utf-8", errors="replace") as stream:
        return sorted(parse_recaps(stream), key=lambda task: -task.seconds)


def parse_recaps(lines: Iterable[str]) -> Iterator[TaskTime]:
    """The tasks of each recap in the output of Packer or Ansible."""
    heading = inside = False
    for line in lines:
        text = PREFIX.sub("", line, count=1).strip()
        entry = ENTRY.match(text) if inside else None
        if entry:
            yield TaskTime(entry["role"] or "", entry["name"], float(entry["seconds"]))
            continue
        inside = heading and bool(RULE.match(text))
        heading = bool(HEADING.match(text)) or (heading and not inside)
