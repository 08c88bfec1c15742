"""The steps of the demo, in order. Each is a command that a user would type, run as a process of its own."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from bakery.catalog import ListedVersion, Record
from bakery.demo import archive, environment, images
from bakery.host import files, process
from bakery.host.errors import BakeryError
from bakery.host.events import Event, Reporter, report_step, silent
from bakery.host.timing import timed
from bakery.infra.cdktf import Cdktf
from bakery.infra.terraform import Terraform
from bakery.model import documents
from bakery.model.documents import Artifact, Verdict
from bakery.model.project import Project

PrintLine = Callable[[str], None]

CONSUMER = ("examples/consumer", "modules/image")  # the example, and the module that it names by a relative path


class Change(StrEnum):
    """A change before the run: of a role variable, or of a package archive, which gets a patch."""

    ROLE = "role"
    UPDATES = "updates"


@dataclass(frozen=True)
class Row:
    """One location of the image, and the parameter that points at it there."""

    image: str
    version: str
    account: str
    region: str
    ami: str
    parameter: str


@dataclass(frozen=True)
class Result:
    """The result of the demo. `reason` is why it baked or not, `consumer` is what plain Terraform read at the end."""

    image: str
    version: str
    baked: bool
    reason: str
    rows: tuple[Row, ...]
    outputs: dict[str, Any]
    consumer: dict[str, Any]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Stage:
    """The project and the environment of the demo. It writes only to `.bakery/demo`."""

    project: Project
    environment: dict[str, str]
    report: Reporter
    print_line: PrintLine

    def run(self, *arguments: str) -> None:
        """Run a verb and show all its output."""
        self.print_line(f"$ bakery {' '.join(arguments)}")
        self._run_bakery(arguments, self.print_line)

    def ask(self, *arguments: str) -> bytes:
        """Run a verb for the JSON that it prints."""
        return self._run_bakery((*arguments, "--json"), None).encode()

    def _run_bakery(self, arguments: tuple[str, ...], on_output: PrintLine | None) -> str:
        command: list[str | Path] = [program(), *arguments]
        secrets = [self.environment[name] for name in environment.SECRET]
        root = self.project.root
        return process.run(command, env=self.environment, secrets=secrets, cwd=root, on_output=on_output).stdout


def program() -> Path:
    """The command of the bakery."""
    return Path(sys.executable).with_name("bakery")


def folder_of(root: Path) -> Path:
    """The folder in which the demo keeps everything."""
    return root / ".bakery" / "demo"


def project_of(root: Path) -> Project:
    """The demo's own project, with the roles and templates of the user's."""
    folder = folder_of(root)
    return Project(root, folder / "images", folder)


def play(root: Path, vault: Path, change: Change | None, report: Reporter, print_line: PrintLine) -> Result:
    """All steps: infrastructure, bake, publish, outputs, and a downstream consumer. `vault` is Vault's program."""
    folder = folder_of(root)
    project = project_of(root)
    seconds: dict[str, float] = {}
    with files.exclusive(folder / "lock", "the demo is running already"):
        with _timed_step(seconds, report, "stand-ins", "start Vault, the AWS stand-in and a package archive"):
            images.prepare(root / "packer" / "images", project.definitions, change is Change.ROLE)
            environment.start(project, vault)
            images.add_archive(project.definitions, archive.start(environment.folder_of(project)))
            variables = environment.variables(project)
        stage = Stage(project, variables, report, print_line)
        cdktf = Cdktf(project, variables, project.logs / "demo-cdktf.log", report)
        with _timed_step(seconds, report, "stacks", "cdktf deploy distribution network"):
            cdktf.deploy("distribution", "network")
        with _timed_step(seconds, silent, "run", "bakery run"):  # it reports its own progress
            if change is Change.UPDATES:
                _show_patch(stage)
            action = json.loads(stage.ask("plan", images.IMAGE))["actions"][-1]
            stage.run("run", images.IMAGE)
            records = documents.parse(list[ListedVersion], stage.ask("catalog", images.IMAGE), "bakery catalog")
            record = [candidate for candidate in records if candidate.state == "complete"][-1]
            if change is Change.UPDATES:
                before, after = (f"{images.IMAGE}@{version}" for version in (action["version"], record.version))
                stage.run("compare", before, after, "--markdown")
        with _timed_step(seconds, report, "images", "cdktf deploy images"):
            outputs = cdktf.deploy("images")["images"]
        with _timed_step(seconds, report, "consumer", "terraform apply in examples/consumer"):
            consumer = _apply_consumer(stage)
        environment.save(project)
        result = Result(
            image=record.image,
            version=record.version,
            baked=action["kind"] != "keep",
            reason=_bake_reason(action),
            rows=tuple(_location_rows(record)),
            outputs=outputs,
            consumer=consumer,
            seconds=seconds | _phase_seconds(project, record),
        )
        documents.save(result, folder / "result.json")
    return result


def _bake_reason(action: dict[str, Any]) -> str:
    """The reason of an action of a plan, in which an image may wait for its parent."""
    if action["kind"] != "wait":
        return str(action["reason"])
    return "its parent changed" if action["version"] else "it was never baked"


def user_variables(root: Path) -> dict[str, str]:
    """The variables with which a user's shell continues where the demo ended."""
    return environment.variables(project_of(root))


def end(root: Path) -> list[str]:
    """Stop the stand-ins, and return the names of those that ran. Their data stays for the next demo."""
    return environment.stop(project_of(root))


def _show_patch(stage: Stage) -> None:
    """Have a patch of an up-to-date image appear, and see it."""
    stage.run("run", images.IMAGE)
    version = archive.add_patch(environment.folder_of(stage.project))
    stage.report(Event("note", "demo", archive.SECURITY, f"{archive.PACKAGE} {version} appears in the package archive"))
    for verb in ("refresh", "status", "plan"):
        stage.run(verb, images.IMAGE)


@contextmanager
def _timed_step(seconds: dict[str, float], report: Reporter, name: str, text: str) -> Iterator[None]:
    with timed(seconds, name), report_step(report, "demo", name, text):
        yield


def _phase_seconds(project: Project, record: Record) -> dict[str, float]:
    """Seconds of the version's bake, test and upload, from the documents that they wrote."""
    folder = project.artifact_folder(record)
    artifact = documents.load(Artifact, folder / "artifact.json")
    verdict = documents.load(Verdict, folder / "verdict.json")
    stages = {"bake": artifact.seconds, "verify": verdict.seconds}
    stages |= {f"publish {publication.target}": publication.seconds for publication in record.publications}
    return {f"{stage}: {phase}": value for stage, phases in stages.items() for phase, value in phases.items()}


def _location_rows(record: Record) -> Iterator[Row]:
    publication = record.publication("aws")
    if publication is None:
        return
    names = {(pointer.account, pointer.region): pointer.name for pointer in publication.pointers}
    for location in publication.locations:
        name = names[location.account, location.region]
        yield Row(record.image, record.version, location.account, location.region, location.id, name)


def _apply_consumer(stage: Stage) -> dict[str, Any]:
    """Apply the downstream example, and prove that a second plan shows no changes."""
    copy = stage.project.workspace / "consumer"
    for part in CONSUMER:
        shutil.copytree(stage.project.root / part, copy / part, dirs_exist_ok=True)
    folder = copy / CONSUMER[0]
    variables = {"follow": True, "state": environment.IMAGES_STATE}
    log = stage.project.logs / "demo-consumer.log"
    terraform = Terraform(stage.project, folder, stage.environment, variables=variables, log=log)
    terraform.init()
    plan = folder / "apply.tfplan"
    terraform.plan(plan)
    terraform.apply(plan)
    if terraform.plan(plan):
        raise BakeryError("the consumer's plan shows changes right after its apply", where=str(folder))
    return {name: output.value for name, output in terraform.output().items() if not output.sensitive}
