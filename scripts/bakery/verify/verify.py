"""Verifies one disk: it is unchanged since it was baked, clean and without secrets, boots and passes its tests.

A disk of Windows is not booted: the bakery has no login to it.
"""

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bakery.host import files
from bakery.host.errors import BakeryError, UsageError
from bakery.host.events import Event, Reporter, report_step
from bakery.host.redaction import Redactor, redact_files
from bakery.host.secret_search import refuse_secrets
from bakery.host.text import count_of
from bakery.host.timing import timed
from bakery.machine import disk_image, qemu, secret_search
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Check, Verdict
from bakery.model.project import Project
from bakery.verify import boot, hygiene
from bakery.verify.exemptions import check_exemptions, select_rules


def verify(
    project: Project,
    definition: ImageDefinition,
    artifact: Artifact,
    disk: Path,
    secrets: Iterable[str],
    report: Reporter,
) -> Verdict:
    """Inspect a baked disk, search it for `secrets` (values), boot a throwaway overlay and run the image's tests.

    A disk of Windows is only inspected and searched. Failing checks are in the verdict. Raises BakeryError if the disk
    changed since it was baked.
    """
    tests = find_tests(project, definition)
    check_exemptions(definition, lambda *keys: str(project.definitions / f"{definition.name}.yaml"))
    values = list(secrets)
    subject = f"{artifact.image} {artifact.version}"
    accelerator = "" if definition.windows else qemu.accelerator()
    scope = f"{count_of(len(tests), 'test file')}, on {accelerator}" if accelerator else "without a boot of Windows"
    seconds: dict[str, float] = {}
    with report_step(report, "verify", subject, scope):
        _require_unchanged(artifact, disk)
        checks = _check_disk(disk, definition, values, subject, seconds, report)
        if accelerator:
            run = boot.Run(disk, tests, _log_folder(project, artifact), accelerator, values, subject, report)
            try:
                checks += boot.check(run, seconds)
            finally:
                redact_files(run.folder.iterdir(), values)  # the guest writes its console, and CI keeps it
        refuse_secrets(_list_documents(disk.parent), values)
    redact = Redactor(values)
    return Verdict(
        image=artifact.image,
        arch=artifact.arch,
        version=artifact.version,
        sha256=artifact.disk.sha256,
        passed=all(check.passed for check in checks),
        checks=tuple(replace(check, detail=redact(check.detail)) for check in checks),
        accelerator=accelerator,
        seconds=seconds,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def check_content(
    raw: Path, definition: ImageDefinition, secrets: Iterable[str], seconds: dict[str, float]
) -> list[Check]:
    """The checks of a raw disk that need no boot: rules, and the search for secrets. Adds their seconds."""
    with timed(seconds, "hygiene"):
        checks = hygiene.check(raw, select_rules(definition), definition.exemptions)
    with timed(seconds, "secrets"):
        checks += secret_search.search(raw, secrets)
    return checks


def _check_disk(
    disk: Path,
    definition: ImageDefinition,
    secrets: list[str],
    subject: str,
    seconds: dict[str, float],
    report: Reporter,
) -> list[Check]:
    """Checks of the disk that do not boot it."""
    report(Event("progress", "verify", subject, "check the disk"))
    files.require_space(disk.parent, disk.stat().st_size, "reading the disk")
    with disk_image.as_raw(disk) as raw:
        checks = check_content(raw, definition, secrets, seconds)
        if secrets:
            size = sum(end - start for start, end in disk_image.data_extents(raw))
            speed = size / 1e6 / max(seconds["secrets"], 0.001)
            report(Event("progress", "verify", subject, f"searched the disk for secrets at {speed:.0f} MB/s"))
    return checks


def _require_unchanged(artifact: Artifact, disk: Path) -> None:
    if not disk.is_file():
        raise BakeryError("the disk is missing", where=str(disk), hint=f"bake {artifact.image} again")
    digest = files.sha256_by_stamp(disk)
    if digest != artifact.disk.sha256:
        raise BakeryError(
            "the disk has changed since it was baked",
            where=str(disk),
            detail=f"baked {artifact.disk.sha256}\nnow   {digest}",
            hint=f"remove its folder and bake {artifact.image} again",
        )


def _list_documents(folder: Path) -> list[Path]:
    """The files of an artifact that CI shows: all but its disk."""
    return [path for path in sorted(folder.iterdir()) if path.is_file() and path.suffix != ".qcow2"]


def find_tests(project: Project, definition: ImageDefinition) -> list[Path]:
    """The files of an image's tests; UsageError if one does not exist."""
    paths = [project.resources.image_test(name) for name in definition.tests]
    for name, path in zip(definition.tests, paths, strict=True):
        if not path.is_file():
            raise UsageError(
                f"'{definition.name}' asks for the tests '{name}', which do not exist",
                where=str(path),
                hint=f"the tests are: {', '.join(project.resources.image_tests()) or 'none'}",
            )
    return paths


def _log_folder(project: Project, artifact: Artifact) -> Path:
    """Make a folder for the logs of one run."""
    timestamp = time.strftime("%Y%m%d-%H%M%S")
    folder = project.logs / f"{artifact.image}-{artifact.version}-verify-{timestamp}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
