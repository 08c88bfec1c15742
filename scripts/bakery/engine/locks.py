"""Locks of package versions: make them from what dated archives have, and compare a baked disk with its lock."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bakery.catalog import Record
from bakery.engine.session import Session
from bakery.host import files, parallel
from bakery.host.errors import BakeryError
from bakery.host.events import Event, report_step
from bakery.host.parallel import Outcome
from bakery.host.text import count_of
from bakery.layers.debian import list_sources
from bakery.model import documents
from bakery.model.contents import Contents
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Artifact
from bakery.model.inputs import LOCKED, Change, compare_inputs
from bakery.model.lock import Lock, list_versions, lock_path
from bakery.model.observations import Upgrade
from bakery.refresh import Archives, UnknownPackagesError, date_archives, observe_dated

# Each version of a kernel is a package of its own; a bake removes the old one after an upgrade.
KERNEL = re.compile(r"linux-(image|modules|headers)-\d")

NAMED = 10  # packages in a note; `bakery update` shows all of them


@dataclass(frozen=True)
class LockUpdate:
    """The lock of an image after an update; `written` is false if the lock was up to date.

    `changes` are those of its packages, none for a lock that had no packages before.
    """

    image: str
    path: str
    lock: Lock
    changes: tuple[Change, ...]
    written: bool

    @property
    def undated(self) -> tuple[str, ...]:
        """Archives without a dated one: the lock holds only the versions of their packages."""
        return tuple(address for address in self.lock.archives if address not in self.lock.dated)


def update_locks(session: Session, images: Sequence[ImageDefinition], jobs: int) -> Sequence[Outcome[LockUpdate]]:
    """Update the locks of images to what their archives have now, and write those that change."""
    by_name = {image.name: image for image in images}
    date = datetime.now(UTC)
    with files.scratch(session.project.cache, "refresh") as scratch:
        archives = Archives(session.project.cache / "archives", scratch)
        return parallel.run_parallel(
            list(by_name), lambda name: _update_lock(session, by_name[name], archives, date), jobs
        )


def check_versions(session: Session, artifact: Artifact, contents: Contents | None) -> None:
    """Raise BakeryError unless the packages of a baked disk have the versions of the lock that it was baked with.

    A note names packages that the lock lacks, and those that the disk lacks.
    """
    locked = {name.removeprefix(LOCKED): one for name, one in artifact.inputs.items() if name.startswith(LOCKED)}
    if not locked:
        return
    subject, path = f"{artifact.image} {artifact.version}", lock_path(session.definitions.sources[artifact.image])
    if contents is None:
        raise BakeryError(f"the packages of {subject} are unknown and cannot be compared", where=str(path))
    changes = compare_inputs(locked, list_versions(contents))
    different = [change for change in changes if change.before and change.after]
    hint = f"run 'bakery update {artifact.image}' and look at the difference"
    if different:
        raise BakeryError(
            f"{subject} has {count_of(len(different), 'package')} in another version than its lock",
            where=str(path),
            detail="\n".join(f"{one.input}: the disk has {one.after}, the lock {one.before}" for one in different),
            hint=hint,
        )
    if changes:
        lacks = (
            f"{side} lacks {_list_names(names)}"
            for side, names in (
                ("the lock", [change.input for change in changes if not change.before]),
                ("the disk", [change.input for change in changes if not change.after]),
            )
            if names
        )
        session.report(Event("note", "contents", subject, f"{'; '.join(lacks)}: {hint}"))


def _list_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _update_lock(session: Session, image: ImageDefinition, archives: Archives, date: datetime) -> LockUpdate:
    path = lock_path(session.definitions.sources[image.name])
    before = documents.find(Lock, path, f"remove it and run 'bakery update {image.name}'")
    record = session.newest_record(image)
    if record:
        with report_step(session.report, "update", f"{image.name} {record.version}", "ask the package archives"):
            lock = _lock_record(session, record, archives, date)
    elif before and before.packages:
        raise BakeryError(
            f"{image.name} has no complete version in this catalog, so the packages of its next lock are unknown",
            where=session.catalog.location,
            hint=f"name the catalog that has it with --catalog, or run 'bakery run {image.name}' first",
        )
    else:
        lock = Lock(date_archives(_list_base_archives(session, image), date), {})
    changes = compare_inputs(before.packages if before else {}, lock.packages)
    # A new date alone is no reason to write the lock; an archive that is now dated is one.
    same_archives = before and (before.archives.keys(), before.dated.keys()) == (
        lock.archives.keys(),
        lock.dated.keys(),
    )
    if before and same_archives and not changes:
        return LockUpdate(image.name, str(path), before, (), written=False)
    documents.save(lock, path)
    return LockUpdate(image.name, str(path), lock, changes if before and before.packages else (), written=True)


def _lock_record(session: Session, record: Record, archives: Archives, date: datetime) -> Lock:
    """The lock for the next version after a record: its packages with the upgrade that its dated archives have."""
    database, contents = session.catalog.package_database(record), session.catalog.contents(record)
    if database is None or contents is None:
        raise UnknownPackagesError(f"the disk of {record.image} {record.version} was not read")
    dated, upgrade = observe_dated(database, archives, date)
    return Lock(dated, dict(sorted(_upgrade_versions(list_versions(contents), upgrade))))


def _upgrade_versions(versions: Mapping[str, str], upgrade: Upgrade) -> Iterator[tuple[str, str]]:
    """Packages after an upgrade, without kernels that a new one replaces."""
    changes = {update.name: update.candidate for update in (*upgrade.updates, *upgrade.added)}
    new_kernel = any(KERNEL.match(update.name) for update in upgrade.added)
    for name, version in {**versions, **changes}.items():
        old_kernel = new_kernel and KERNEL.match(name) and name not in changes
        if name not in upgrade.removed and not old_kernel:
            yield name, version


def _list_base_archives(session: Session, image: ImageDefinition) -> list[str]:
    """The archives of a base that is made from packages; those of other bases are known after the first bake."""
    base = image.base.qemu
    if base is None or base.debootstrap is None:
        return []
    sources = list_sources(base.debootstrap, session.project.resources.recipe("debian"))
    return [source.uri for source in sources if "@" not in source.uri]
