"""One version on its way into a library: find it, or pack it, upload it, and name it when it is complete."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bakery.clouds.phases import Phases, ReportProgress
from bakery.clouds.vsphere import notes, ovf, upload
from bakery.clouds.vsphere.library import Item, Library
from bakery.clouds.vsphere.session import TakenError
from bakery.host import files
from bakery.host.errors import BakeryError, ConflictError
from bakery.model.documents import Disk
from bakery.model.tags import SHA256, Tags

UNFINISHED = "-unfinished"  # no consumer finds an item by its version's name before it is complete


class VsphereRelease:
    """Creates one version's item in a library. Every step looks for an existing item first."""

    def __init__(self, library: Library, description: str, expected: Tags, phases: Phases) -> None:
        self._library = library
        self._expected = expected
        self._name = expected["Name"]
        self._notes = notes.write(description, expected)
        self._phases = phases

    def publish(self, disk: Disk, os: str) -> Item:
        """The item of this version, complete and with its notes."""
        item = self._library.item(self._name)
        if item is None:
            return self._create_item(disk, os)
        refuse_foreign(self._library, item, self._expected[SHA256])
        return self.mark(item)

    def replicate(self, source: Item) -> Item:
        """The item of this version as a copy of that in another library of the same vCenter, which sends no byte."""
        item = self._library.item(self._name)
        if item is not None:
            refuse_foreign(self._library, item, self._expected[SHA256])
            return self.mark(item)
        self._remove_leftovers()
        with self._phases.phase("copy", f"copy to {self._library.where}"):
            return self._rename_item(self._library.copy(source, self._name + UNFINISHED, self._notes))

    def mark(self, item: Item) -> Item:
        """Repair the notes of an existing item; BakeryError if it lacks a file."""
        if defect := self._library.find_defect(item):
            raise BakeryError(
                f"{self._name} cannot be deployed: {defect}",
                where=self._library.where,
                hint="remove the item if it is unused, and run again",
            )
        return item if item.description == self._notes else self._library.rename(item, self._name, self._notes)

    def _create_item(self, disk: Disk, os: str) -> Item:
        self._remove_leftovers()
        with files.scratch(Path(disk.path).parent, "ovf") as folder:
            with self._phases.phase("pack", "pack the disk as OVF"):
                contents = ovf.pack(disk, self._name, os, folder)
            with self._phases.phase("upload", f"upload to {self._library.where}") as report_progress:
                return self._send_files(contents, report_progress)

    def _send_files(self, contents: Sequence[ovf.PackedFile], report_progress: ReportProgress) -> Item:
        """Upload the disk as a new item, and remove the item if anything fails."""
        item = self._library.create(self._name + UNFINISHED, self._notes)
        try:
            upload.send(self._library, item, contents, report_progress)
            return self._rename_item(item)
        except BaseException:
            with suppress(BakeryError):  # the first error is the cause; the next run removes the item
                self._library.delete(item)
            raise

    def _rename_item(self, item: Item) -> Item:
        try:
            return self._library.rename(item, self._name, self._notes)
        except TakenError:
            published_item = self._library.item(self._name)
            if published_item is None:
                raise
            refuse_foreign(self._library, published_item, self._expected[SHA256])
            self._library.delete(item)  # another run was faster
            return published_item

    def _remove_leftovers(self) -> None:
        """Remove the item that a killed run left. If two runs work at the same time, the earlier one fails."""
        leftover = self._library.item(self._name + UNFINISHED)
        if leftover is None:
            return
        if notes.read(leftover.description).get("Name") != self._name:
            raise ConflictError(
                f"{leftover.name} was not made by the bakery", where=self._library.where, hint="rename the item"
            )
        upload.cancel_uploads(self._library, leftover)
        self._library.delete(leftover)


def refuse_foreign(library: Library, item: Item, sha256: str) -> None:
    """Raise ConflictError unless the item's notes name this disk. Items of other programs are never touched."""
    actual = notes.read(item.description).get(SHA256)
    if actual != sha256:
        raise ConflictError(
            f"{item.name} exists, but was not made from this disk",
            where=library.where,
            detail=f"{SHA256} is {actual or 'not in its notes'}, expected {sha256}",
            hint="remove the item if it is unused, or bake a new version",
        )
