"""The evidence on which a version is published: signed documents that fit each other, the catalog and the definition.

The folder of a version is on disks that other jobs may write to, so nothing in it counts without a signature.
"""

from pathlib import Path

from bakery.catalog import Record
from bakery.clouds import BUILDERS
from bakery.engine.inspection import expect_inspection
from bakery.engine.session import Session
from bakery.host.errors import BakeryError, ConflictError, NotFoundError, OutageError
from bakery.model import baked, documents
from bakery.model.baked import Baked
from bakery.model.bases import QEMU
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Part, RemoteBuild, Verdict
from bakery.model.inputs import PARENT, remote_base
from bakery.model.naming import full_name
from bakery.model.version import ImageVersion
from bakery.signing import Duty, save_signed, verify_document
from bakery.verify import expect_checks, find_gaps


def require_part(session: Session, part: Part) -> None:
    """BakeryError unless the job that bakes signed the document of a part."""
    try:
        verify_document(part, part, _part_path(session, part), session.keyring, bake_duty(part))
    except OutageError:
        raise
    except BakeryError as error:
        error.hint = error.hint or _bake_hint(session, part)
        raise


def save_verdict(session: Session, part: Part, verdict: Verdict) -> None:
    """Keep the verdict on a part, signed by the job that came to it."""
    path = baked.part_folder(session.project, part) / "verdict.json"
    save_signed(verdict, part, path, session.keyring, _verify_duty(part))


def require_verdict(session: Session, part: Part) -> Verdict:
    """The verdict on a part; BakeryError unless it is signed, and every check that the definition asks for passed."""
    folder = baked.part_folder(session.project, part)
    verdict = documents.find_valid(Verdict, folder / "verdict.json")
    hint = f"run 'bakery verify {part.image}' again" if isinstance(part, Artifact) else _bake_hint(session, part)
    if verdict is None:
        raise NotFoundError(f"{full_name(part)} was never tested", hint=hint.removesuffix(" again"))
    try:
        verify_document(verdict, part, folder / "verdict.json", session.keyring, _verify_duty(part))
        _refuse_foreign(verdict, part)
        _refuse_failed(session, verdict, part)
    except OutageError:
        raise
    except BakeryError as error:
        error.where, error.hint = error.where or str(folder / "verdict.json"), hint
        raise
    return verdict


def require_evidence(session: Session, version: Baked, record: Record) -> list[Verdict]:
    """The verdicts on all parts of a version; BakeryError unless each part may be published as this record."""
    for part in version.parts:
        require_part(session, part)
        _refuse_other_record(session, version, part, record)
        if isinstance(part, Artifact):
            _refuse_other_disk_base(session, version.definition, part, record)
        elif part.base != record.inputs.get(remote_base(part.target), ""):
            _refuse(session, part, "was built from another base than its reservation names")
    return [require_verdict(session, part) for part in version.parts]


def _refuse_other_record(session: Session, version: Baked, part: Part, record: Record) -> None:
    if part.input_key != record.input_key or dict(part.inputs) != dict(record.inputs):
        detail = f"baked    {part.input_key}\nreserved {record.input_key}"
        _refuse(session, part, "was baked from other inputs than its version was reserved for", detail)
    if record.state == "complete" and record.sha256 != version.parts[0].identity:
        raise ConflictError(
            f"{full_name(record)} is complete, with other content than this workspace has",
            where=session.catalog.location,
            detail=f"catalog   {record.sha256}\nworkspace {version.parts[0].identity}",
            hint="publish it from the workspace that baked it, or bake a new version: "
            f"'bakery run --rebuild {record.image}'",
        )


def _refuse_other_disk_base(session: Session, definition: ImageDefinition, artifact: Artifact, record: Record) -> None:
    """Compare the base with the input that was reserved: a parent by its record, a download by its digest."""
    base, reserved = artifact.base, record.inputs.get(PARENT, "")
    if definition.parent:
        parent = session.catalog.record(ImageVersion(definition.parent, definition.arch, base.version))
        fits = (base.name, base.sha256) == (parent.image, parent.sha256) and parent.is_base(reserved)
    elif definition.base.qemu and definition.base.qemu.sha256:
        fits = f"sha256:{base.sha256}" == reserved and base.name == definition.base.qemu.url
    else:
        fits = not base.version  # made from archives or a vendor's list: the bake was the first to know the digest
    if not fits:
        detail = f"base     {base.name} {base.version} {base.sha256}\nreserved {reserved}"
        _refuse(session, artifact, "was built on another base than its reservation names", detail)


def _refuse_foreign(verdict: Verdict, part: Part) -> None:
    """Raise BakeryError for the verdict on another part."""
    if (verdict.image, verdict.arch, verdict.version) != (part.image, part.arch, part.version):
        raise BakeryError(f"the verdict is for {full_name(verdict)}, not for {full_name(part)}")
    if verdict.sha256 != part.identity:
        raise BakeryError(
            f"the verdict is for a disk other than {full_name(part)}",
            detail=f"tested {verdict.sha256}\nbaked  {part.identity}",
        )


def _refuse_failed(session: Session, verdict: Verdict, part: Part) -> None:
    """Raise BakeryError unless a verdict says of each check that it passed."""
    definition = session.definitions.images[part.image]
    inspection = expect_inspection(definition, part) if isinstance(part, RemoteBuild) else []
    gaps = find_gaps([*expect_checks(session.project, definition, part), *inspection], verdict.checks)
    if gaps or not verdict.passed:
        failing = [f"{check.name}: {check.detail}" for check in verdict.checks if not check.passed]
        others = [gap for gap in gaps if not gap.startswith("failed: ")]
        message = "did not pass its tests" if failing else "has no verdict on every check"
        raise BakeryError(f"{full_name(part)} {message}", detail="\n".join([*failing, *others]))


def _refuse(session: Session, part: Part, message: str, detail: str = "") -> None:
    where, hint = str(_part_path(session, part)), _bake_hint(session, part)
    raise BakeryError(f"{full_name(part)} {message}", where=where, detail=detail, hint=hint)


def _bake_hint(session: Session, part: Part) -> str:
    """The way to a part that is signed: a complete version is not baked again."""
    record = session.catalog.record(part)
    if record.state != "reserved":
        return f"bake a new version with 'bakery run --rebuild {part.image}'"
    folder = baked.part_folder(session.project, part)
    return f"remove {folder} and run 'bakery run {part.image}' again"


def _part_path(session: Session, part: Part) -> Path:
    name = "artifact.json" if isinstance(part, Artifact) else "build.json"
    return baked.part_folder(session.project, part) / name


def bake_duty(part: Part) -> Duty:
    """The duty of the job that makes a part."""
    return BUILDERS[part.target if isinstance(part, RemoteBuild) else QEMU].duty


def _verify_duty(part: Part) -> Duty:
    """An image that Packer builds at a target is tested there, by the job that bakes it."""
    return "verify" if isinstance(part, Artifact) else bake_duty(part)
