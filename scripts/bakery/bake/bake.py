"""Bake one image: base disk, Packer with Ansible, sealed disk, artifact.json; all of it or nothing."""

import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bakery.bake import guest_boot, packer
from bakery.bake.commit import read_commit
from bakery.bake.kept_disk import keep_disk
from bakery.bake.layers import plan_layers
from bakery.bake.package_cache import serve_packages
from bakery.bake.request import BakeContext, BakeRequest
from bakery.bake.space import explain_full_disk, require_space
from bakery.bake.variables import check_secrets, secret_environment
from bakery.clouds import BUILDERS, manifest
from bakery.clouds.job import Job
from bakery.host import files
from bakery.host.errors import BakeryError, ConflictError
from bakery.host.events import Event, report_step
from bakery.host.parallel import is_interrupted, threads
from bakery.host.secret_search import refuse_secrets, searchable
from bakery.host.timing import timed
from bakery.host.vault import Secret, Vault
from bakery.host.vault.secrets import hash_value, read_secrets
from bakery.machine import block_list, disk_image, free_space, secret_search
from bakery.machine.block_stream import describe_image, digest_disk, open_raw
from bakery.machine.disk_image import BaseDisk
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact, Disk, SecretUse
from bakery.model.project import Project
from bakery.signing import open_keyring, save_signed

# The ansible plugin hands paths on as `name=value` words, and QEMU's options end at a comma.
UNFIT = re.compile(r"[\s,'\"]")


def bake(request: BakeRequest, base: BaseDisk, context: BakeContext) -> Artifact:
    """Make the disk of a version and its artifact.json. The artifact's folder appears only when it is complete."""
    definition, version = request.definition, request.version
    project, toolchain, vault = context.project, context.toolchain, context.vault
    folder = project.artifact_folder(request.image_version)
    open_keyring(project).require_signer(BUILDERS["qemu"].duty)
    secrets = read_bake_secrets(project, definition, vault)
    with reserved(project, definition.name, folder) as drafts, files.scratch(drafts, version) as scratch:
        log = project.logs / f"{definition.name}-{version}-bake-{time.strftime('%Y%m%d-%H%M%S')}.log"
        job = Job(
            project,
            definition,
            version,
            "qemu",
            base,
            toolchain,
            scratch,
            log,
            context.report,
            lock=request.lock,
            keep=context.keep,
            keep_guest=context.keep_guest,
            definition_file=request.file,
        )
        lineage = f"{base.base.name} {base.base.version}".rstrip()
        with report_step(context.report, "bake", job.subject, f"{definition.mode} mode, on {lineage}"):
            require_space(job)
            commit = note_commit(job)
            values = {name: secret.value for name, secret in secrets.items()}
            layers = plan_layers(job, request.inputs, values.values())
            with layers.started(fresh=context.fresh) as started, explain_full_disk(job):
                staging, disk, seconds = _make_locked_disk(started, context, values)
            disk_image.require_unchanged(base)
            refuse_changed(definition, vault, secrets)
        artifact = Artifact(
            image=definition.name,
            arch=definition.arch,
            version=version,
            os=definition.os,
            mode=definition.mode,
            input_key=request.input_key,
            inputs=dict(request.inputs),
            base=base.base,
            disk=replace(disk, path=str(folder / "disk.qcow2")),
            commit=commit,
            tools=dict(toolchain.versions),
            seconds=seconds,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            log=str(log) if log.exists() else "",
            vendor_base=base.vendor_base,
            secrets=describe_secrets(definition, secrets),
        )
        save_signed(artifact, artifact, staging / "artifact.json", open_keyring(project), BUILDERS["qemu"].duty)
        refuse_secrets([path for path in staging.iterdir() if path.suffix == ".json"], values.values())
        staging.rename(folder)
    return artifact


def read_bake_secrets(project: Project, definition: ImageDefinition, vault: Vault | None) -> dict[str, Secret]:
    """The secrets of a definition; BakeryError, before minutes of work, if a value would not reach a role as it is.

    A run checks them before its first bake, and Vault may have other values hours later.
    """
    file = str(project.definitions / f"{definition.name}.yaml")
    if not definition.secrets:
        return {}
    if vault is None:
        raise BakeryError(f"{definition.name} needs secrets, and there is no Vault", where=file, hint="log in first")
    secrets = read_secrets(vault, definition.secrets, lambda name: file)
    check_secrets(definition, {name: secret.value for name, secret in secrets.items()}, file)
    return secrets


def check_folders(project: Project) -> None:
    """BakeryError unless Packer's plugins can work in the folders of a project."""
    for path in (project.root, project.shipped, project.workspace):
        if UNFIT.search(str(path)):
            raise BakeryError(
                "Packer's plugins cannot work in a folder with spaces, commas or quotes in its path",
                where=str(path),
                hint="move it, or point --workspace elsewhere",
            )


def check_rights(definition: ImageDefinition, where: str) -> None:
    """BakeryError unless the user of this machine may bake in the definition's mode."""
    if definition.mode == "chroot" and os.geteuid() != 0:
        raise BakeryError(
            "a bake in chroot mode mounts the disk and needs root", where=where, hint="use mode: vm, or run it as root"
        )


def refuse_changed(definition: ImageDefinition, vault: Vault | None, secrets: Mapping[str, Secret]) -> None:
    """ConflictError if a secret changed during the bake.

    A template of the user's own asks Vault itself, so a change of a secret makes it unknown which value it used.
    """
    if vault is None:
        return
    for name, secret in definition.secrets.items():
        if vault.read_version(secret.path, secret.key) != secrets[name]:
            raise ConflictError(
                f"the secret {secret.path} changed while {definition.name} was baked",
                hint=f"run 'bakery run {definition.name}' again",
            )


def describe_secrets(definition: ImageDefinition, secrets: Mapping[str, Secret]) -> dict[str, SecretUse]:
    """The versions of the secrets, for the search of the disk."""
    return {
        name: SecretUse(
            path=secret.path,
            key=secret.key,
            version=secrets[name].version,
            digest="" if secrets[name].version else hash_value(secrets[name].value),
        )
        for name, secret in definition.secrets.items()
        if name in secrets
    }


@contextmanager
def reserved(project: Project, subject: str, folder: Path) -> Iterator[Path]:
    """Hold a lock per `subject`; return the folder for drafts, without the remains of killed runs."""
    lock = project.workspace / "locks" / f"bake-{subject}.lock"
    with files.exclusive(lock, f"{subject} is being baked by another process"):
        if folder.exists():
            raise ConflictError(
                f"{folder.name} was baked before and is never overwritten",
                where=str(folder),
                hint="continue with that version, or remove the folder if nothing needs it",
            )
        drafts = folder.parent / f".{subject}"
        packer.remove_remains(drafts)
        yield drafts


def _make_locked_disk(
    job: Job, context: BakeContext, secrets: Mapping[str, str]
) -> tuple[Path, Disk, dict[str, float]]:
    """`_make_disk`, beside the package cache if the image has a lock and apt works on it."""
    if job.lock is None or not job.definition.provisioned:
        return _make_disk(job, context, secrets)
    offline = job.definition.package_versions == "offline"
    with serve_packages(job.project, job.definition.name, job.lock.dated.values(), offline) as cache:
        return _make_disk(replace(job, cache_port=cache.port), context, secrets)


def _make_disk(job: Job, context: BakeContext, secrets: Mapping[str, str]) -> tuple[Path, Disk, dict[str, float]]:
    """A folder with the finished disk, the description of that disk, and the seconds per phase."""
    source, seconds = _provision_disk(job, context.vault, secrets)
    staging = job.scratch / "whole"
    staging.mkdir()
    archives_report = staging / job.archives_report.name
    if job.archives_report.exists():  # a user's own template need not write it
        job.archives_report.rename(archives_report)
    with timed(seconds, "flatten"):
        job.progress("flattening the disk and reading it")
        with _writable_raw(job, source) as raw, threads(2) as submit:
            free_space.clear_free_space(raw)
            # The digest of a disk with large holes takes as long as all the rest.
            digesting = submit(partial(digest_disk, open_raw(raw)))
            examining = submit(partial(context.examine, raw, archives_report))
            _refuse_logins(job, _list_logins(job, context.vault), raw)
            disk_image.to_qcow2(raw, staging / "disk.qcow2")
            sha256 = files.sha256(staging / "disk.qcow2")
            content = digesting.result()
            examining.result()
        shutil.rmtree(job.output, ignore_errors=True)
        files.write_atomic(staging / block_list.FILE, content.blocks.dump())
    return staging, describe_image(staging / "disk.qcow2", sha256, content), seconds


@contextmanager
def _writable_raw(job: Job, source: Path) -> Iterator[Path]:
    """The disk of a bake as a raw file that may be changed: the builder's own, or a copy."""
    if source.suffix == ".raw" and source.is_relative_to(job.output):
        yield source
        return
    with disk_image.as_raw(source) as raw:
        yield raw


def _list_logins(job: Job, vault: Vault | None) -> list[str]:
    """The logins that end with the bake, and that no later search knows: its token, and the key of the guest."""
    key = job.ansible_files / "key"
    return [*([vault.token] if vault else ()), *([key.read_text()] if key.exists() else ())]


def _refuse_logins(job: Job, logins: list[str], raw: Path) -> None:
    """BakeryError if the disk has a login of the bake."""
    checks = secret_search.search(raw, searchable(logins))
    if failing := [check for check in checks if not check.passed]:
        raise BakeryError(
            f"the disk of {job.subject} has the bake's own token or key",
            where=str(job.log),
            detail="\n".join(check.detail for check in failing),
            hint="find the role that wrote it: the log has all tasks; nothing was kept of this bake",
        )


def _provision_disk(job: Job, vault: Vault | None, secrets: Mapping[str, str]) -> tuple[Path, dict[str, float]]:
    """The disk with the software on it; the base itself if the definition adds nothing."""
    assert job.base
    if not job.definition.provisioned:
        return job.base.path, {}
    hidden = [*secrets.values(), *([vault.token] if vault else ())]
    try:
        with explain_full_disk(job):
            seconds = guest_boot.build(job, secret_environment(job, vault, secrets), hidden)
    except BakeryError as error:
        if job.keep and not is_interrupted():
            error.hint = "; ".join(filter(None, [error.hint, keep_disk(job)]))
        raise
    return manifest.disk(job.manifest, job.definition.name, job.version, job.output), seconds


def note_commit(job: Job) -> str:
    """The commit of the project as the bake begins; empty, with the reason as a note, if git does not say it."""
    commit, reason = read_commit(job.project.root)
    if reason:
        job.report(Event("note", "bake", job.subject, f"the image names no commit: {reason}"))
    return commit
