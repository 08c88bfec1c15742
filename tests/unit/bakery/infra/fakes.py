"""Programs that write down how they were called, and answer what a test wants."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery.model.project import Project

FAKE = """\
#!{python} -IS
import json, os, sys
from pathlib import Path

here = Path(__file__).parent
calls = here / "calls.jsonl"
called = {{"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd()}}
earlier = [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
with calls.open("a") as stream:
    stream.write(json.dumps(called) + "\\n")
answers = json.loads((here / "answers.json").read_text())
command = sys.argv[1]
answer = answers.get(f"{{command}} {{Path.cwd().name}}", answers.get(command, {{}}))
if isinstance(answer, list):
    turn = sum((each["argv"][0], each["cwd"]) == (command, os.getcwd()) for each in earlier)
    answer = answer[min(turn, len(answer) - 1)]
for option in sys.argv:
    if option.startswith("--outputs-file="):
        Path(option.split("=", 1)[1]).write_text(json.dumps(answer["outputs"]))
    if option.startswith("--output=") and "stacks" in answer:
        output = Path(option.split("=", 1)[1])
        stacks = {{}}
        for name, needs in answer["stacks"].items():
            stacks[name] = {{"workingDirectory": f"stacks/{{name}}", "dependencies": needs}}
            (output / "stacks" / name).mkdir(parents=True, exist_ok=True)
        (output / "manifest.json").write_text(json.dumps({{"stacks": stacks}}))
if "error" in answer:
    Path(os.environ["BAKERY_ERROR_FILE"]).write_text(json.dumps(answer["error"]))
print(answer.get("stdout", ""))
print(answer.get("stderr", ""), file=sys.stderr)
sys.exit(answer.get("code", 0))
"""


@dataclass(frozen=True)
class Fake:
    """A wrapped tool. `answer` says how a subcommand ends, `calls` how it was called."""

    folder: Path

    def answer(self, command: str, **answer: Any) -> None:
        """How a subcommand ends; "plan images" is for the folder of that name only."""
        self._save(command, answer)

    def turns(self, command: str, *answers: dict[str, Any]) -> None:
        """How it ends the first time in a folder, the second time; the last answer is for all further ones."""
        self._save(command, list(answers))

    def _save(self, command: str, answer: object) -> None:
        path = self.folder / "answers.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), command: answer}))

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "calls.jsonl").read_text().splitlines()]


def install(project: Project, *names: str) -> Fake:
    """Fakes among the project's tools; all of them write to the same list of calls."""
    for name in names:
        program = project.tool_bin / name
        program.write_text(FAKE.format(python=sys.executable))
        program.chmod(0o755)
    (project.tool_bin / "answers.json").write_text("{}")
    return Fake(project.tool_bin)
