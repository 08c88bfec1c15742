"""Have Packer build and test an image at a target with its own builder; all of it or nothing."""

import hashlib
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from bakery.bake import packer
from bakery.bake.bake import describe_secrets, note_commit, read_bake_secrets, reserved
from bakery.bake.request import BakeContext, BakeRequest, ParentImage
from bakery.bake.variables import secret_environment
from bakery.clouds import REMOTE, manifest
from bakery.clouds.job import Job
from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.host.events import report_step
from bakery.host.redaction import Redactor
from bakery.machine import junit
from bakery.model.documents import Check, RemoteBuild, VendorBase
from bakery.model.inputs import remote_base
from bakery.signing import open_keyring, save_signed

TEST_HOST = "ssh://image"  # as in ansible/playbooks/bake.yml


def build(
    request: BakeRequest,
    target: str,
    parent: ParentImage | None,
    credentials: Mapping[str, str],
    context: BakeContext,
    vendor_base: VendorBase | None = None,
) -> RemoteBuild:
    """Build a version at `target` and keep build.json in its folder.

    It starts from `parent`, or else from `vendor_base`. `credentials` are the fields of the target's secret in Vault,
    empty if the environment has them. BakeryError if the build or one of the image's tests fails: Packer then leaves
    no image.
    """
    definition, version = request.definition, request.version
    project, toolchain, vault = context.project, context.toolchain, context.vault
    builder = REMOTE[target]
    folder = project.build_folder(request.image_version, target)
    open_keyring(project).require_signer(builder.duty)
    secrets = read_bake_secrets(project, definition, vault)
    values = {name: secret.value for name, secret in secrets.items()}
    login = builder.environment(credentials) if credentials else builder.own_login(os.environ)
    own_secrets = [login[name] for name in builder.own_secrets if name in login]
    hidden = [*values.values(), *credentials.values(), *own_secrets, *([vault.token] if vault else ())]
    with reserved(project, f"{definition.name}-{target}", folder) as drafts, files.scratch(drafts, version) as scratch:
        log = project.logs / f"{definition.name}-{version}-{target}-{time.strftime('%Y%m%d-%H%M%S')}.log"
        report = context.report
        job = Job(
            project,
            definition,
            version,
            target,
            None,
            toolchain,
            scratch,
            log,
            report,
            source=parent.id if parent else "",
            vendor_base=vendor_base,
            definition_file=request.file,
        )
        kind = builder.source(definition).partition(".")[0]
        origin = f", on {vendor_base.name} {vendor_base.identity}" if vendor_base else ""
        with report_step(report, "bake", job.subject, f"{kind}, at {target}{origin}"):
            commit = note_commit(job)
            env = {**secret_environment(job, vault, values), **login}
            seconds = packer.build(job, env, hidden)
            packer_build = manifest.last_build(job.manifest, definition.name, version)
            ids = builder.ids(packer_build)
            checks = _read_checks(job, hidden)
        staging = scratch / "whole"
        staging.mkdir()
        remote_build = RemoteBuild(
            image=definition.name,
            arch=definition.arch,
            version=version,
            os=definition.os,
            target=target,
            builder=kind,
            input_key=request.input_key,
            inputs=dict(request.inputs),
            base=request.inputs.get(remote_base(target), ""),
            identity=hashlib.sha256(f"{kind} {packer_build.artifact_id}".encode()).hexdigest(),
            ids=ids,
            checks=tuple(checks),
            commit=commit,
            tools=dict(toolchain.versions),
            seconds=seconds,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            log=str(log),
            vendor_base=vendor_base,
            parent=parent.base if parent else None,
            # A template of the user's own asks Vault itself, and what it got is unknown.
            secrets={} if definition.template else describe_secrets(definition, secrets),
        )
        for path in (job.archives_report, job.root_archive):
            if path.exists():  # Windows and a user's own template need not write them
                path.rename(staging / path.name)
        save_signed(remote_build, remote_build, staging / "build.json", open_keyring(project), builder.duty)
        staging.rename(folder)
    return remote_build


def _read_checks(job: Job, hidden: list[str]) -> list[Check]:
    """The results of the tests inside of the build. They have passed, because a failing test stops Packer."""
    if not job.tests:
        return []
    checks = junit.read_checks(job.test_report, TEST_HOST, Redactor(hidden))
    if failing := [check for check in checks if not check.passed]:
        raise BakeryError(
            f"{job.subject}: {len(failing)} of {len(checks)} tests did not pass, but Packer continued",
            detail="\n".join(f"{check.name}: {check.detail}" for check in failing),
            hint="does the template run ansible/playbooks/bake.yml with var.ansible_vars?",
        )
    return checks
