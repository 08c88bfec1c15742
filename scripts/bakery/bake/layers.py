"""Starts a bake from the last layer that still holds, and keeps the layers that it made."""

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from bakery.bake.layer_archives import Archives
from bakery.bake.layer_keys import Cut, list_cuts
from bakery.clouds import CLOUDS
from bakery.clouds.job import Job, Start
from bakery.host import files
from bakery.host.errors import BakeryError, DiskError
from bakery.host.events import Event
from bakery.host.parallel import is_interrupted
from bakery.host.secret_search import searchable
from bakery.layers.bucket import LayerBucket, describe_loss
from bakery.layers.store import ArchiveList, Layer, LayerStore, name_end
from bakery.machine import disk_image, qemu, secret_search
from bakery.model import documents
from bakery.model.documents import Strict, Time
from bakery.signing import Duty, open_keyring
from bakery.signing.documents import make_statement
from bakery.signing.statement import Statement

# After so long a layer is made again, since roles may fetch what no key knows of.
OLDEST_SECONDS = 7 * 86400.0
DUTY: Duty = "bake-private"  # of the jobs whose layers are trusted
NO_DIGEST = "none"  # in place of a digest in ansible/playbooks/layers/archives/


@dataclass(frozen=True)
class Description(Strict):
    """The document that ansible/playbooks/layers/copy.yml writes.

    `archives` has a line `URL SHA256` for each list that apt or dnf had since the bake began, or `URL none` for one
    that nobody can ask for. `seconds` are those of the play up to then.
    """

    archives: tuple[str, ...]
    upgraded: bool
    seconds: float


@dataclass(frozen=True)
class Beginning(Strict):
    """The document of a bake's beginning: when the oldest work on its disk began, and the seconds that it took.

    `archives` are the lists that decided this work; `secrets` says that the bake had some. `boot` is the ID of this
    machine's boot.
    """

    created: Time
    seconds: float
    archives: tuple[ArchiveList, ...]
    secrets: bool
    boot: str


@dataclass(frozen=True)
class Layers:
    """The layers of one bake. `cuts` are those where it may start, and keep one, in their order.

    `secrets` are the values that must not be on a layer. With a `bucket`, machines share the layers of their stores.
    A bake that may not write to the store `keeps` none.
    """

    store: LayerStore
    job: Job
    cuts: tuple[Cut, ...]
    secrets: tuple[str, ...]
    keeps: bool = True
    bucket: LayerBucket | None = None
    _noted: set[str] = field(default_factory=set)

    @contextmanager
    def started(self, *, fresh: bool) -> Iterator[Job]:
        """The job that starts from a layer, or from the base if none holds or the bake is to be `fresh`.

        Until the block ends, other bakes that would make the next layer wait for it, unless one that this bake waited
        for did not make it. The layers that the block made are kept even if it fails: the next bake goes on from there,
        and the error says so.
        """
        self._keep_drafts(of_killed_run=True)
        start = self._choose(fresh)
        missing = next((cut.key for cut in self.cuts if cut.roles > start.roles), None) if self.keeps else None
        with ExitStack() as stack:
            if missing and self._lock_layer(missing, stack):
                start = self._choose(fresh)
                if self.store.find(missing) is None:
                    stack.close()  # its work takes too little time to be kept, most likely: the others need not wait
            documents.save(self._describe_beginning(start.layer), self._beginning_path)
            try:
                yield self._start_job(start)
            except BaseException as error:
                if self.bucket and isinstance(error, KeyboardInterrupt):
                    self.bucket.close()  # nobody waits for an upload then
                if kept := self._keep_drafts(of_killed_run=False):
                    self._report_kept(kept[-1], error, fresh=fresh)
                raise
            self._keep_drafts(of_killed_run=False)

    def _report_kept(self, last: Cut, error: BaseException, *, fresh: bool) -> None:
        """Say which layer a failed bake kept last: in the hint of its error, or in a note if nobody sees that."""
        text = f"the layer {name_end(last.last)} is kept" + ("" if fresh else ", and the next bake starts there")
        if isinstance(error, BakeryError) and not is_interrupted():
            error.hint = "; ".join(filter(None, (error.hint, text)))
        else:
            self._note(text)

    def _lock_layer(self, key: str, stack: ExitStack) -> bool:
        """Lock a layer that this bake makes, until the stack closes; whether another bake made it meanwhile."""
        try:
            return stack.enter_context(self.store.exclusive(key, self.job.subject))
        except BakeryError as error:  # a file system without locks, or another bake for hours
            self._note(f"a layer may be made twice: {self.store.folder}: {error.message}")
            return False

    @property
    def _beginning_path(self) -> Path:
        """The document of the bake's beginning."""
        return self.job.drafts / "began"

    def _describe_beginning(self, layer: Layer | None) -> Beginning:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        created, seconds, archives = (layer.created, layer.seconds, layer.archives) if layer else (now, 0.0, ())
        return Beginning(created, seconds, archives, bool(self.secrets), _read_boot())

    def _keep_drafts(self, *, of_killed_run: bool) -> list[Cut]:
        """Move the layers that a bake made to the store, until a disk refuses one; those that are kept.

        Those of a killed run are removed if it had secrets, whose values may not be known any more, so that nobody can
        search for them; or if the machine was started since: after a power cut a draft may lack bytes.
        """
        beginning = documents.find_valid(Beginning, self._beginning_path)
        kept: list[Cut] = []
        if of_killed_run and beginning and (self.secrets or beginning.secrets or beginning.boot != _read_boot()):
            beginning = None
        try:
            if beginning and self.keeps:
                for cut in self.cuts:
                    draft = self.job.drafts / f"{cut.key}.qcow2"
                    if draft.exists() and self._keep(cut, draft, beginning):
                        kept.append(cut)
        except DiskError as error:
            self._note(f"no more layers are kept in {self.store.folder}: {error.message}")
        shutil.rmtree(self.job.drafts, ignore_errors=True)
        return kept

    def _start_job(self, start: "_StartPoint") -> Job:
        later = {cut.roles: cut.key for cut in self.cuts if cut.roles > start.roles} if self.keeps else {}
        if start.layer is None:
            return replace(self.job, cuts=later)
        end = name_end(start.layer.last)
        self._note(f"start from the layer {end}, which saves {start.layer.seconds:.0f} s")
        return replace(
            self.job, cuts=later, start=Start(self._disk, start.layer.sha256, start.roles, start.layer.upgraded)
        )

    @property
    def _disk(self) -> Path:
        return self.job.scratch / "layer.qcow2"

    def _choose(self, fresh: bool) -> "_StartPoint":
        self._disk.unlink(missing_ok=True)
        archives = Archives(self.job)
        for cut in () if fresh else reversed(self.cuts):
            layer = self._take(cut.key, archives)
            if layer is None and self._fetch(cut.key, archives):
                layer = self._take(cut.key, archives)
            if layer:
                return _StartPoint(cut.roles, layer)
        return _StartPoint()

    def _take(self, key: str, archives: Archives) -> Layer | None:
        """A layer of the store that holds, with its disk brought to the bake; None if there is none."""
        layer = self.store.find(key)
        if layer and self._holds(layer, self.store.envelope(layer), archives) and self.store.take(layer, self._disk):
            return layer
        return None

    def _fetch(self, key: str, archives: Archives) -> bool:
        """Bring a layer that holds from the bucket to the store; False if there is none, or a disk refuses it."""
        shared = self.bucket.find(key) if self.bucket else None
        if not self.bucket or not shared or not self._holds(shared.layer, shared.envelope, archives):
            return False
        try:
            with files.scratch(self.store.folder, "layer") as scratch:
                disk = scratch / "disk.qcow2"
                if not self.bucket.fetch(shared.layer, disk):
                    return False
                self.store.keep(shared.layer, disk, shared.envelope)
        except BakeryError as error:
            self.bucket.close()
            self._note(f"no layer can be fetched to {self.store.folder}: {error.message}")
            return False
        return True

    def _holds(self, layer: Layer, envelope: bytes, archives: Archives) -> bool:
        """Whether a bake from nothing would make the same disk: it is signed, not old, and no archive has changed."""
        if not self._is_signed(layer, envelope):  # first: what a stranger wrote may have no time
            return False
        age = time.time() - datetime.fromisoformat(layer.created).timestamp()
        if not 0 <= age <= OLDEST_SECONDS:  # a layer from the future comes from a wrong clock
            return False
        return archives.are_as_before(layer.archives)

    def _is_signed(self, layer: Layer, envelope: bytes) -> bool:
        """Whether a job that may bake disks made a layer: it may come from a cache that others write to."""
        where = str(self.store.folder / layer.key)
        try:
            signed = open_keyring(self.job.project).verify(envelope, DUTY, where)
        except BakeryError as error:
            self._note(f"the layer {layer.key} is not used: {error.message}")
            return False
        return signed == _describe(layer)

    def _keep(self, cut: Cut, draft: Path, beginning: Beginning) -> bool:
        """Move the layer of a cut from the bake's drafts to the store; False, with the reason, if it cannot be there.

        DiskError if a disk refuses it, and so every other one.
        """
        try:
            with files.explain_errors(self.store.folder):
                return self._keep_draft(cut, draft, beginning)
        except DiskError:
            raise
        except BakeryError as error:
            self._note(f"no layer is kept {name_end(cut.last)}: {error.message}")
            return False

    def _keep_draft(self, cut: Cut, draft: Path, beginning: Beginning) -> bool:
        if self.secrets and self._has_secret(draft):
            self._note(f"no layer is kept {name_end(cut.last)}: a secret is on the disk")
            return False
        description = documents.load(Description, draft.with_suffix(".json"))
        archives = {*beginning.archives, *(ArchiveList(*line.split()) for line in description.archives)}
        unknown = [archive.url for archive in archives if archive.sha256 == NO_DIGEST]
        if unknown or not archives:  # its packages may not be the newest any more
            reason = f"nobody can ask whether {min(unknown)} changed" if unknown else "there is no package archive"
            self.job.progress(f"no layer is kept {name_end(cut.last)}, since {reason}")
            return False
        layer = Layer(
            key=cut.key,
            image=self.job.definition.name,
            last=cut.last,
            upgraded=description.upgraded,
            archives=tuple(sorted(archives)),
            seconds=round(beginning.seconds + description.seconds, 1),
            size=files.find_used_space(draft),
            sha256=files.sha256(draft),
            created=beginning.created,
        )
        envelope = open_keyring(self.job.project).sign(_describe(layer), DUTY)
        with draft.open("rb") as disk:  # which stays readable if another bake removes the layer
            self.store.keep(layer, draft, envelope)
            if self.bucket:
                self.bucket.send(layer, disk, envelope)
        return True

    def _has_secret(self, draft: Path) -> bool:
        with disk_image.as_raw(draft) as raw:
            return not all(check.passed for check in secret_search.search(raw, searchable(self.secrets)))

    def _note(self, text: str) -> None:
        """Report a note, and the same one only once."""
        if text not in self._noted:
            self._noted.add(text)
            self.job.report(Event("note", "bake", self.job.subject, text))


@dataclass(frozen=True)
class _StartPoint:
    """The layer that a bake starts from, with so many roles, or the base, with -1."""

    roles: int = -1
    layer: Layer | None = None


def plan_layers(job: Job, inputs: Mapping[str, str], secrets: Iterable[str]) -> Layers:
    """The layers of a bake whose inputs are known; `secrets` are values that must not be on one.

    UsageError if BAKERY_LAYERS names neither a folder nor a bucket.
    """
    assert job.base
    shared = job.project.layers != job.project.own_layers
    store = LayerStore(job.project.layers, job.report, shared=shared)
    cuts = list_cuts(job.definition, inputs, job.base.sha256, job.project.resources)
    if shared and not _is_folder(store.folder):  # not mounted: a new folder would fill the disk below it
        text = f"the bake uses and keeps no layers: BAKERY_LAYERS names no folder: {store.folder}"
        job.report(Event("note", "bake", job.subject, text))
        cuts = ()
    keeps = bool(cuts) and _may_write(store, job)
    return Layers(store, job, cuts, tuple(secrets), keeps, _open_bucket(job) if keeps else None)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a server that does not answer, or a folder above that this user may not enter
        return False


def _may_write(store: LayerStore, job: Job) -> bool:
    """Whether a bake may keep layers; a note if it may not."""
    try:
        with files.scratch(store.folder, "layer"):
            return True
    except DiskError as error:
        job.report(Event("note", "bake", job.subject, f"the bake keeps no layers: {store.folder}: {error.message}"))
        return False


def _open_bucket(job: Job) -> LayerBucket | None:
    """The bucket that BAKERY_LAYERS names; None, with a note if it cannot be used."""
    location = job.project.layer_bucket
    if not location:
        return None
    [opener] = [cloud.open_bucket for cloud in CLOUDS.values() if cloud.open_bucket]
    try:
        return LayerBucket(opener(location), job.subject, job.report)
    except BakeryError as error:
        job.report(Event("note", "bake", job.subject, describe_loss(location, error)))
        return None


def _read_boot() -> str:
    return qemu.BOOT_ID.read_text().strip()


def _describe(layer: Layer) -> Statement:
    return make_statement(layer, f"layer {layer.key}", layer.sha256)
