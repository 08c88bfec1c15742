"""Asks whether the package archives of layers are as they were when the layers were made."""

from bakery.clouds.job import Job
from bakery.host.events import Event
from bakery.host.parallel import Outcome, run_parallel
from bakery.layers.archive_lists import fetch_digest
from bakery.layers.store import ArchiveList

ARCHIVE_JOBS = 8  # archives that are asked at once; an image has three or four


class Archives:
    """The lists of package archives as they are now; each is asked for once, and named once if it changed."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._answers: dict[str, Outcome[str]] = {}
        self._named: set[str] = set()

    def are_as_before(self, lists: tuple[ArchiveList, ...]) -> bool:
        """Whether each list is the one of before; a note names the first that is not."""
        asked = [] if self._job.definition.package_versions == "offline" else self._list_undated(lists)
        new = [archive.url for archive in asked if archive.url not in self._answers]
        self._answers |= {outcome.name: outcome for outcome in run_parallel(new, fetch_digest, ARCHIVE_JOBS)}
        changed = [archive for archive in asked if self._answers[archive.url].result != archive.sha256]
        if changed and changed[0].url not in self._named:
            url = changed[0].url
            self._named.add(url)
            error = self._answers[url].error
            hint = f" ({error.hint})" if error and error.hint else ""
            reason = f"{error.message}{hint}" if error else "it has changed"
            text = f"a layer is not used, because of the archive {url}: {reason}"
            self._job.report(Event("note", "bake", self._job.subject, text))
        return not changed

    def _list_undated(self, lists: tuple[ArchiveList, ...]) -> list[ArchiveList]:
        """The lists that can change: those of dated archives never do."""
        dated = tuple(self._job.lock.dated.values()) if self._job.lock else ()
        return [archive for archive in lists if not archive.url.startswith(dated)]
