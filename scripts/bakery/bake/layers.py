"""Starts a bake from the last layer that still holds, and keeps the layers that it made."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bakery.bake.layer_keys import Cut, list_cuts
from bakery.clouds.job import Job, Start
from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.host.events import Event
from bakery.host.parallel import run_parallel
from bakery.layers.releases import fetch_digest
from bakery.layers.store import Layer, LayerStore, SignedList

# After so long a layer is made again, since roles may fetch what no key knows of.
OLDEST_SECONDS = 7 * 86400.0
ARCHIVE_JOBS = 8  # archives that are asked at once; an image has three or four


@dataclass(frozen=True)
class Layers:
    """The layers of one bake. `cuts` are the places where it may keep one, in their order."""

    store: LayerStore
    job: Job
    cuts: tuple[Cut, ...]

    @contextmanager
    def started(self, *, fresh: bool) -> Iterator[Job]:
        """The job that starts from a layer, or from the base if none holds or the bake is to be `fresh`.

        Until the block ends, other bakes that would make the next layer wait for it. The layers that the block made are
        kept even if it fails: the next bake goes on from there.
        """
        self.job.drafts.mkdir()
        missing = next((cut for cut in self.cuts if self.store.find(cut.key) is None), None)
        if missing is None or fresh:
            with self._kept(self._choose(fresh)) as job:
                yield job
        else:
            with self.store.exclusive(missing.key, self.job.subject), self._kept(self._choose(fresh)) as job:
                yield job

    def _choose(self, fresh: bool) -> tuple[Job, Layer | None]:
        cuts = {cut.roles: cut.key for cut in self.cuts}
        for cut in () if fresh else reversed(self.cuts):
            layer = self.store.find(cut.key)
            disk = self.job.scratch / "layer.qcow2"
            if layer and self._holds(layer) and self.store.take(layer, disk):
                after = f"after the role {layer.last}" if layer.last else "with updates and packages"
                self.job.progress(f"start from the layer {after}, which saves {layer.seconds:.0f} s")
                later = {roles: key for roles, key in cuts.items() if roles > cut.roles}
                return replace(self.job, start=Start(disk, cut.roles, layer.upgraded), cuts=later), layer
        return replace(self.job, cuts=cuts), None

    def _holds(self, layer: Layer) -> bool:
        """Whether a bake from nothing would make a layer again: it is not old, and no archive has changed."""
        age = time.time() - datetime.fromisoformat(layer.created).timestamp()
        if age > OLDEST_SECONDS:
            return False
        asked = [] if self.job.definition.package_versions == "offline" else self._list_undated(layer)
        outcomes = run_parallel([archive.url for archive in asked], fetch_digest, ARCHIVE_JOBS)
        for archive, outcome in zip(asked, outcomes, strict=True):
            if outcome.result != archive.sha256:
                reason = outcome.error.message if outcome.error else "it has changed"
                self._note(f"no layer is used, because of the archive {archive.url}: {reason}")
                return False
        return True

    def _list_undated(self, layer: Layer) -> list[SignedList]:
        """The lists of a layer that can change: those of dated archives never do."""
        dated = tuple(self.job.lock.dated.values()) if self.job.lock else ()
        return [archive for archive in layer.archives if not archive.url.startswith(dated)]

    @contextmanager
    def _kept(self, start: tuple[Job, Layer | None]) -> Iterator[Job]:
        job, layer = start
        began = time.time()
        try:
            yield job
        finally:
            for cut in self.cuts:
                with suppress(FileNotFoundError):
                    self._keep(cut, began, layer.seconds if layer else 0.0)

    def _keep(self, cut: Cut, began: float, before: float) -> None:
        """Move the layer of a place from the bake's drafts to the store; FileNotFoundError if it made none."""
        draft = self.job.drafts / f"{cut.key}.qcow2"
        seconds = before + draft.stat().st_mtime - began
        try:
            archives = tuple(read_archives(draft.with_suffix(".archives")))
            layer = Layer(
                key=cut.key,
                image=self.job.definition.name,
                last=cut.last,
                upgraded=draft.with_suffix(".upgraded").exists(),
                archives=archives,
                seconds=round(seconds, 1),
                size=files.find_used_space(draft),
                sha256=files.sha256(draft),
                created=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            self.store.keep(layer, draft)
        except BakeryError as error:
            self._note(f"a layer cannot be kept: {error.message}")

    def _note(self, text: str) -> None:
        self.job.report(Event("note", "bake", self.job.subject, text))


def plan_layers(job: Job, inputs: Mapping[str, str]) -> Layers:
    """The layers of a bake whose inputs are known."""
    assert job.base
    cuts: tuple[Cut, ...] = ()
    if job.definition.mode == "chroot":
        cuts = list_cuts(job.definition, inputs, job.base.sha256, job.project.resources)
    return Layers(LayerStore(job.project.cache / "layers", job.report), job, cuts)


def read_archives(path: Path) -> Iterator[SignedList]:
    """The lists in the output of keep-layer.sh, a line `URL SHA256` for each."""
    for line in path.read_text().splitlines():
        url, digest = line.rsplit(maxsplit=1)
        yield SignedList(url, digest)
