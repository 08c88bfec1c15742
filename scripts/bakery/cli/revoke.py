"""`bakery revoke` and `bakery restore`: forbid a version, and allow one again."""

import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from bakery.cli import options
from bakery.cli.consent import require_consent
from bakery.cli.session import session
from bakery.engine.lifecycle import restore_version
from bakery.engine.overview import require_record
from bakery.engine.revocation import Revocation, plan_revocation, revoke_versions
from bakery.engine.uses import describe_use
from bakery.host.errors import UsageError
from bakery.host.text import count_of
from bakery.model import documents
from bakery.model.version import ImageVersion

SHOWN = 20  # users of a version that are listed; --json lists all


def _check_reason(text: str) -> str:
    if not text.strip():
        raise UsageError("--reason is empty", hint="give a reason: it is recorded, and cannot be changed later")
    return text


Why = Annotated[str, typer.Option("--reason", help="The reason, which the record keeps.", callback=_check_reason)]
KeepChildren = Annotated[
    bool, typer.Option("--keep-children", help="Do not revoke the versions that were built on it.")
]


def revoke(
    image: options.Image,
    version: options.Version,
    reason: Why,
    keep_children: KeepChildren = False,
    arch: options.Arch = options.ARCH,
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Forbid a version and all that was built on it.

    Shows the channels, instances, launch templates, parameters and images that depend on it, and asks. Then points the
    channels at an earlier version, and disables the images: where a target can forbid it, nobody can start them.
    Safe to run again. Versions that were built on it are restored one by one.

    Example: bakery revoke web 1.0.3 --reason "CVE-2026-1234"
    """
    with session(
        definitions, workspace, catalog, verb="revoke", must_exist=True, json=json, quiet=quiet, verbose=verbose
    ) as verb_session:
        record = require_record(verb_session.catalog, ImageVersion(image, arch, version))
        revocations = plan_revocation(verb_session, record, with_children=not keep_children)
        if dry_run:
            print(documents.dump_all(revocations).decode() if json else render(revocations), end="" if json else "\n")
            return
        if not yes:
            print(render(revocations), file=sys.stderr if json else sys.stdout, flush=True)
            require_consent(f"revoke {count_of(len(revocations), 'version')}?", "--yes")
        records = revoke_versions(verb_session, revocations, reason)
    if json:
        print(documents.dump_all(records).decode(), end="")
    elif not quiet:
        for revoked in records:
            print(f"{revoked.image} {revoked.version} is revoked: {revoked.reason}")


def restore(
    image: options.Image,
    version: options.Version,
    reason: Why,
    arch: options.Arch = options.ARCH,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Make a deprecated, disabled or revoked version usable again.

    Its images can be started and are shared again. Moves no channel. The retention of the definition passes over the
    version until it is changed. Images that were removed are gone for good.

    Example: bakery restore web 1.0.3 --reason "the finding was false"
    """
    with session(
        definitions, workspace, catalog, verb="restore", must_exist=True, json=json, quiet=quiet, verbose=verbose
    ) as verb_session:
        record = require_record(verb_session.catalog, ImageVersion(image, arch, version))
        restored = restore_version(verb_session, record, reason)
    if json:
        print(documents.dump(restored).decode(), end="")
    elif not quiet:
        print(f"{restored.image} {restored.version} is complete again: {reason}")


def render(revocations: Sequence[Revocation]) -> str:
    """The versions to revoke, each with all that depends on it below."""
    return "\n".join(line for revocation in revocations for line in _describe(revocation))


def _describe(revocation: Revocation) -> Iterator[str]:
    parent = f", built on {revocation.parent}" if revocation.parent else ""
    yield f"revoke {revocation.image} {revocation.version}{parent}"
    for move in revocation.moves:
        yield f"  {move.channel}: {move.before} -> {move.after}"
    for use in revocation.uses[:SHOWN]:
        yield f"  used by {describe_use(use)}" if use.kind != "launch" else f"  {describe_use(use)}"
    if len(revocation.uses) > SHOWN:
        yield f"  {len(revocation.uses) - SHOWN} more users: --dry-run --json lists all"
    if revocation.unknown:
        yield f"  users unknown: {revocation.unknown}"
