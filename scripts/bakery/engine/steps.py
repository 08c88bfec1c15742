"""The steps of one version: bake -> verify -> publish -> record in the catalog -> move its channel.

Each step saves its document in the artifact's folder, so a rerun continues where the last one stopped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

from bakery.bake import bake, remote
from bakery.bake.request import BakeContext, BakeRequest
from bakery.catalog import Record, is_expired, owner
from bakery.clouds import BUILDERS
from bakery.clouds.target import RemoteTarget, Target
from bakery.contents import DATABASE, FILE_LIST, sbom_path
from bakery.engine import channels, distribution, toolbox
from bakery.engine.contents import RawReader, find_contents, read_contents, read_unsigned_contents
from bakery.engine.earlier_disks import find_earlier_disks
from bakery.engine.evidence import require_evidence, require_part, require_verdict, save_verdict
from bakery.engine.failures import record_failures
from bakery.engine.inspection import inspect_build
from bakery.engine.locks import check_versions
from bakery.engine.logins import open_vault, read_build_credentials
from bakery.engine.notices import announce_version
from bakery.engine.overview import require_record
from bakery.engine.parents import find_parent_disk
from bakery.engine.plan import Action
from bakery.engine.provenance import keep_provenance
from bakery.engine.publish import publish
from bakery.engine.repeats import report_repeat
from bakery.engine.session import Session
from bakery.engine.targets import open_target, open_targets
from bakery.engine.vendor_lookup import find_base
from bakery.engine.vulnerabilities import check_part, keep_report, require_gate
from bakery.host.errors import BakeryError, ConflictError, OutageError
from bakery.host.events import Event
from bakery.host.vault import Vault
from bakery.layers.base import prepare
from bakery.machine.disk_image import BaseDisk
from bakery.model import baked
from bakery.model.baked import Baked
from bakery.model.bases import QEMU
from bakery.model.contents import SBOM_SUFFIXES
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Part, Publication, RemoteBuild, Verdict
from bakery.model.inputs import PARENT
from bakery.model.lock import load_lock
from bakery.model.version import ImageVersion
from bakery.verify import read_used_secrets, verify


@dataclass(frozen=True)
class BakeOptions:
    """`keep` keeps the disk of a bake that fails, and `keep_guest` its guest until it is powered off.

    A `fresh` bake starts from no layer.

    With `fail_on_difference`, a disk fails that has other content than the newest version with the same inputs.
    """

    keep: bool = False
    keep_guest: bool = False
    fresh: bool = False
    fail_on_difference: bool = False


def bake_version(session: Session, action: Action, options: BakeOptions, builders: Sequence[str] = ()) -> Baked:
    """Bake an action of a plan, or reuse the result of an interrupted run with the same inputs, unless it is too old.

    `builders` limits it to some of the definition's builders. The caller has looked for everything that the bake needs.
    """
    definition = session.definitions.images[action.image]
    if action.kind == "wait":
        raise BakeryError(
            f"{definition.name} cannot be baked yet: {action.reason}", hint=f"run 'bakery run {definition.name}'"
        )
    if action.kind == "pause":
        raise ConflictError(
            f"{definition.name} is {action.reason}",
            hint=f"fix the cause, or try the same inputs again with 'bakery run --rebuild {definition.name}'",
        )
    selected = select_builders(definition, builders)
    reservation = session.catalog.reserve(
        definition.name,
        definition.arch,
        action.release_line,
        action.input_key,
        action.inputs,
        owner(session.project.workspace),
        BUILDERS[selected[0]].duty,
        action.due_since,
    )
    file = session.definitions.sources[definition.name]
    lock = load_lock(definition, file)
    request = BakeRequest(definition, reservation.version, action.inputs, action.input_key, lock, file)
    work = _Bake(session, request, options)
    with record_failures(session, definition, "bake", action.input_key):
        artifact = work.bake_disk() if "qemu" in selected else None
        builds = {name: work.bake_image(name) for name in selected if name != "qemu"}
    if artifact:
        report_repeat(session, artifact, must_be_equal=options.fail_on_difference)
    return Baked(definition, reservation.version, artifact, builds)


def select_builders(definition: ImageDefinition, builders: Sequence[str]) -> list[str]:
    """The builders of a definition that are asked for; all if none is."""
    return [name for name in definition.builders if not builders or name in builders]


@dataclass(frozen=True)
class _Bake:
    """The builds of one version; each reuses the result of an interrupted run."""

    session: Session
    request: BakeRequest
    options: BakeOptions

    def bake_disk(self) -> Artifact:
        """The disk that QEMU builds."""
        definition = self.request.definition
        artifact = baked.find_artifact(self.session.project, definition, self.request.version)
        reader = RawReader(self.session, self.request.image_version)
        if not artifact or not self._is_of_these_inputs(artifact, ""):
            with open_vault(definition.secrets) as vault:
                artifact = bake(
                    self.request,
                    _base_disk(self.session, self.request),
                    replace(self._bake_context(vault), examine=reader.read),
                )
        contents = read_contents(self.session, artifact, reader.contents)
        check_versions(self.session, artifact, contents)
        return artifact

    def bake_image(self, target: str) -> RemoteBuild:
        """The image that Packer builds at a target, tested there; BakeryError if it does not pass the gate."""
        definition = self.request.definition
        build = baked.find_build(self.session.project, definition, self.request.version, target)
        if not build or not self._is_of_these_inputs(build, f" at {target}"):
            build = self._build_image(target)
        read_contents(self.session, build)
        judge_build(self.session, build)
        return build

    def _build_image(self, target: str) -> RemoteBuild:
        definition = self.request.definition
        with open_vault(definition.secrets, definition.distribution.build_credentials(target)) as vault:
            credentials = read_build_credentials(vault, definition, target)
            destination = cast(RemoteTarget, open_target(self.session, definition, target, credentials))
            destination.prepare(self.request.image_version)
            parent = self.session.parent_image(definition, target)
            base = find_base(self.session, definition, target, credentials)
            return remote.build(self.request, target, parent, credentials, self._bake_context(vault), base)

    def _bake_context(self, vault: Vault | None) -> BakeContext:
        project, report, options = self.session.project, self.session.report, self.options
        return BakeContext(
            project,
            toolbox.toolchain(project),
            vault,
            report,
            keep=options.keep,
            keep_guest=options.keep_guest,
            fresh=options.fresh,
        )

    def _is_of_these_inputs(self, part: Part, where: str) -> bool:
        """Whether the result of an interrupted run was made from the same inputs."""
        if part.input_key != self.request.input_key:
            return False
        subject = f"{part.image} {part.version}"
        self.session.report(Event("note", "bake", subject, f"baked before from the same inputs{where}"))
        return True


def is_verified(session: Session, artifact: Artifact) -> bool:
    """Whether this disk passed its tests in an interrupted run. A gate is asked again: its answer changes with time."""
    if session.definitions.images[artifact.image].vulnerabilities:
        return False
    try:
        require_verdict(session, artifact)
    except OutageError:
        raise
    except BakeryError:
        return False
    return True


def verify_version(session: Session, artifact: Artifact) -> Verdict:
    """Test an artifact and keep the verdict; BakeryError with the failing checks if it does not pass."""
    definition, folder = session.definitions.images[artifact.image], session.project.artifact_folder(artifact)
    require_part(session, artifact)
    session.keyring.require_signer("verify")
    with record_failures(session, definition, "verify", artifact.input_key):
        with open_vault(definition.secrets or artifact.secrets) as vault:
            where = partial(session.definitions.where, definition.name, "secrets")
            secrets = read_used_secrets(vault, definition, artifact, where)
            verdict = verify(session.project, definition, artifact, folder / "disk.qcow2", secrets, session.report)
        verdict = check_part(session, definition, artifact, verdict)
        save_verdict(session, artifact, verdict)
        _require_passed(definition, verdict, folder)
    return verdict


def judge_build(session: Session, build: RemoteBuild) -> None:
    """Look at an image that Packer built and tested at a target, and keep the verdict; BakeryError if it fails."""
    definition, folder = session.definitions.images[build.image], baked.part_folder(session.project, build)
    verdict = inspect_build(session, definition, build, Verdict.of_build(build))
    verdict = check_part(session, definition, build, verdict)
    save_verdict(session, build, verdict)
    _require_passed(definition, verdict, folder)


def _require_passed(definition: ImageDefinition, verdict: Verdict, folder: Path) -> None:
    """BakeryError with the failing checks, if there are any."""
    failing = [check for check in verdict.checks if not check.passed]
    if failing:
        raise BakeryError(
            f"{definition.name} {verdict.version} failed {len(failing)} of {len(verdict.checks)} checks",
            where=str(folder / "verdict.json"),
            detail="\n".join(f"{check.name}: {check.detail}" for check in failing),
            hint=f"fix it and run 'bakery run {definition.name}' again; nothing was published",
        )


def publish_version(session: Session, version: Baked, channel: str = "") -> Record:
    """Publish a verified version, complete its record, and move its channel, or `channel` if that is given."""
    definition, project = version.definition, session.project
    record = _usable_record(session, version)
    distribution.refuse_other_encryption(definition, record)
    verdicts = require_evidence(session, version, record)  # before anything is published
    _refuse_revoked_parent(session, version)
    for part, verdict in zip(version.parts, verdicts, strict=True):
        require_gate(definition, part, verdict)
    session.keyring.require_signer("publish")
    keep_report(session, version.parts[0], verdicts[0])
    with (
        record_failures(session, definition, "publish", version.parts[0].input_key),
        open_targets(session, definition) as targets,
    ):
        earlier_disks = find_earlier_disks(session, version, set(targets) - set(version.builds))
        publications = publish(project, version, targets, session.report, earlier_disks)
        record = _usable_record(session, version)
        all_publications = distribution.keep_locations(record, publications)
        contents = _keep_contents(session, version.parts[0])
        complete = _complete_record(record, version, verdicts, all_publications, *contents)
        complete = replace(complete, provenance=keep_provenance(session, version, verdicts, record, complete))
        is_new = record.state == "reserved"
        if complete != record:
            record = session.catalog.revise(complete, "published")
        return _move_channel(session, definition, targets, record, channel, is_new=is_new)


def _refuse_revoked_parent(session: Session, version: Baked) -> None:
    """Raise ConflictError if an image that a part was built on, here or at a target, was revoked during its bake."""
    for part in version.parts:
        base = part.base if isinstance(part, Artifact) else part.parent
        if base is None or not base.version:
            continue
        parent = session.catalog.record(ImageVersion(base.name, version.arch, base.version))
        if parent.state == "revoked":
            raise ConflictError(
                f"{version.image} {version.version} was built on {base.name} {base.version}, which was revoked "
                "meanwhile",
                detail=parent.reason,
                hint=f"run 'bakery run {version.image}': it is baked on a fixed parent as soon as there is one",
            )


def distribute_version(session: Session, image: str, version: str, *, follow: bool) -> Record:
    """Bring a complete version wherever its definition wants it, and take it back from everywhere else; its record.

    It need not be in the workspace. The channel of the definition follows, if asked to.
    """
    [definition] = session.definitions.select([image])
    record = require_record(session.catalog, ImageVersion(image, definition.arch, version))
    with (
        record_failures(session, definition, "publish", record.input_key),
        open_targets(session, definition) as targets,
    ):
        record = distribution.distribute_version(session, definition, targets, record)
        if follow:
            return _move_channel(session, definition, targets, record)
        return distribution.withdraw_version(session, definition, targets, record)


def _move_channel(
    session: Session,
    definition: ImageDefinition,
    targets: Mapping[str, Target],
    record: Record,
    channel: str = "",
    *,
    is_new: bool = False,
) -> Record:
    """Move the channel of an image to a published version, and take versions back from where they are not wanted.

    A version that is new, or that a channel did not point at before, is announced.
    """
    if channel := channel or definition.channel or "":
        with channels.open_channel(session, definition, channel, targets) as handle:
            head = handle.head
            entry = channels.follow(handle, record, "published")
            pointed = handle.record(entry.version)
        is_new = is_new or head is None or entry.version != head.version
        if pointed and pointed.version != record.version:
            distribution.withdraw_version(session, definition, targets, pointed)
    record = distribution.withdraw_version(session, definition, targets, record)
    if is_new:
        announce_version(session, record, channel)
    return record


def _usable_record(session: Session, version: Baked) -> Record:
    """The version's record; BakeryError if it was revoked or its number belongs to another run by now."""
    record = session.catalog.record(version)
    if record.state == "reserved" and record.owner != owner(session.project.workspace) and not is_expired(record):
        raise ConflictError(
            f"{version.image} {version.version} is reserved by {record.owner} until {record.expires}",
            where=session.catalog.location,
            hint="publish it from the workspace or pipeline that reserved it, or after that time",
        )
    if record.state == "revoked":
        raise BakeryError(
            f"{version.image} {version.version} was revoked: {record.reason}", hint=f"run 'bakery run {version.image}'"
        )
    return record


def _complete_record(
    record: Record,
    version: Baked,
    verdicts: Sequence[Verdict],
    publications: tuple[Publication, ...],
    contents: str,
    content_digest: str,
) -> Record:
    """The record of a published version. Its contents and vulnerabilities are those of its first part."""
    disk, first, verdict = version.artifact, version.parts[0], verdicts[0]
    parts: Mapping[str, Part] = {**({QEMU: disk} if disk else {}), **version.builds}
    return replace(
        record,
        state="complete",
        owner="",
        expires="",
        mode=version.definition.mode,
        os=first.os,
        sha256=first.identity,
        raw_sha256=disk.disk.raw_sha256 if disk else first.identity,
        size=disk.disk.virtual_size if disk else 0,
        base=disk.base if disk else None,
        baked=first.created,
        commit=first.commit,
        tools=first.tools,
        tags=version.definition.tags,
        publications=publications,
        contents=contents,
        content_digest=content_digest,
        checks=sum(len(verdict.checks) for verdict in verdicts),
        vulnerabilities=verdict.vulnerabilities,
        vex=verdict.vex,
        vendor_bases={builder: part.vendor_base for builder, part in parts.items() if part.vendor_base},
    )


def _keep_contents(session: Session, part: Part) -> tuple[str, str]:
    """Bring the contents of a part to the catalog; their document's digest and the content digest, empty if unknown."""
    contents = find_contents(session, part) or read_unsigned_contents(session, part)
    if isinstance(part, Artifact):
        check_versions(session, part, contents)
    if contents is None:
        return "", ""
    folder = baked.part_folder(session.project, part)
    sboms = {name: sbom_path(folder, name).read_bytes() for name in SBOM_SUFFIXES}
    database, listed = ((folder / name).read_bytes() for name in (DATABASE, FILE_LIST))
    return session.catalog.keep_contents(contents, database, sboms, listed), contents.content_digest


def _base_disk(session: Session, request: BakeRequest) -> BaseDisk:
    """The disk that a bake starts from, which has the bytes that its record or its cache entry names."""
    definition, lock = request.definition, request.lock
    if definition.parent:
        return find_parent_disk(session, definition, request.inputs.get(PARENT, ""))
    assert definition.base.qemu
    recipe = session.project.resources.recipe("debian")
    archives, offline = lock.archives if lock else None, definition.package_versions == "offline"
    return prepare(definition.base.qemu, session.project.cache, recipe, session.report, archives, offline)
