"""A content library and its items."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bakery.clouds.vsphere.session import VCenter
from bakery.host.errors import BakeryError, ConflictError, NotFoundError
from bakery.host.waiting import wait_until

ITEMS = "/content/library/item"
COPY_SECONDS = 3600.0  # within vCenter's own storage a copy takes minutes, between datastores much longer


@dataclass(frozen=True)
class Item:
    """A library item. The bakery writes its notes (`notes.py`) to the item's description."""

    id: str
    name: str
    description: str = ""
    creation_time: str = ""


@dataclass(frozen=True)
class File:
    """A file of an item; `cached` is true if the library has its content."""

    name: str
    size: int = 0
    cached: bool = False


@dataclass(frozen=True)
class _Model:
    id: str
    name: str
    type: str


class Library:
    """A library that the bakery may write to. Its items have unique names."""

    def __init__(self, vcenter: VCenter, name: str) -> None:
        """Look the library up by its name; NotFoundError if it does not exist."""
        self.vcenter = vcenter
        self.name = name
        self._id = self._find_library()

    def item(self, name: str) -> Item | None:
        """The item of this name."""
        ids = self.vcenter.find(f"look for {name}", ITEMS, library_id=self._id, name=name)
        items = [item for item in map(self.by_id, ids) if item]
        if len(items) > 1:
            raise ConflictError(
                f"several items are named {name}", where=self.where, hint="remove all but one of them from the library"
            )
        return items[0] if items else None

    def items(self) -> Iterator[Item]:
        """All items of the library."""
        for item in self.vcenter.get("list the items", ITEMS, list[str], library_id=self._id):
            if details := self.by_id(item):
                yield details

    def by_id(self, item_id: str) -> Item | None:
        """An item by its ID."""
        try:
            return self.vcenter.get(f"look at {item_id}", f"{ITEMS}/id:{item_id}", Item)
        except NotFoundError:
            return None

    def files(self, item: Item) -> list[File]:
        """The files of an item; none before an upload or a copy is complete."""
        return self.vcenter.get(f"list the files of {item.name}", f"{ITEMS}/file", list[File], library_item_id=item.id)

    def create(self, name: str, notes: str) -> Item:
        """A new item without content."""
        spec = {"library_id": self._id, "name": name, "description": notes, "type": "ovf"}
        return Item(self.vcenter.create(f"create {name}", ITEMS, {"create_spec": spec}), name, notes)

    def rename(self, item: Item, name: str, notes: str) -> Item:
        """Set name and notes in one step; TakenError if another item has the name."""
        spec = {"name": name, "description": notes}
        self.vcenter.patch(f"rename {item.name} to {name}", f"{ITEMS}/id:{item.id}", {"update_spec": spec})
        return Item(item.id, name, notes)

    def delete(self, item: Item) -> None:
        """Remove an item with its content; no error if it is gone."""
        self.vcenter.delete(f"remove {item.name}", f"{ITEMS}/id:{item.id}")

    def copy(self, item: Item, name: str, notes: str) -> Item:
        """A complete copy, made inside of vCenter, which answers before it copies, and removes a failed copy."""
        spec = {"library_id": self._id, "name": name, "description": notes}
        doing = f"copy {item.name} to {name}"
        copy_id = self.vcenter.create(doing, f"{ITEMS}/id:{item.id}", {"destination_create_spec": spec}, action="copy")
        copy, content = Item(copy_id, name, notes), self._file_sizes(item)

        def look() -> bool | None:
            if self.by_id(copy_id) is None:
                raise BakeryError(
                    f"cannot {doing}: vCenter failed and removed the copy",
                    where=self.where,
                    hint="see the reason in vCenter's task list, often a full datastore; then run again",
                )
            return True if self._file_sizes(copy) == content else None

        if wait_until(look, COPY_SECONDS) is None:
            raise BakeryError(
                f"cannot {doing}: not complete after {COPY_SECONDS / 60:.0f} min", where=self.where, hint="run again"
            )
        return copy

    def same_content(self, first: Item, second: Item) -> bool:
        """Whether two items have files of the same names and sizes, and all content is there."""
        return self._file_sizes(first) == self._file_sizes(second)

    def find_defect(self, item: Item) -> str:
        """The reason why an item cannot be deployed; empty if it has a descriptor and a disk."""
        by_suffix = {file.name.rpartition(".")[2]: file for file in self.files(item) if file.size}
        return "" if {"ovf", "vmdk"} <= by_suffix.keys() else f"it has {', '.join(sorted(by_suffix)) or 'no files'}"

    @property
    def where(self) -> str:
        """The item's library and name, for messages."""
        return f"{self.vcenter.server}/{self.name}"

    def _file_sizes(self, item: Item) -> Mapping[str, int]:
        return {file.name: file.size for file in self.files(item) if file.cached}

    def _find_library(self) -> str:
        doing = f"look for the content library {self.name}"
        ids = self.vcenter.find(doing, "/content/library", name=self.name)
        models = [self.vcenter.get(doing, f"/content/library/id:{library}", _Model) for library in ids]
        if not models:
            raise NotFoundError(
                f"there is no content library {self.name}",
                where=self.vcenter.server,
                hint="make a local library of this name, or correct distribution.vsphere.library",
            )
        if len(models) > 1 or models[0].type != "LOCAL":
            kind = "there are several of this name" if len(models) > 1 else models[0].type.lower()
            raise ConflictError(
                f"the content library {self.name} is {kind}",
                where=self.vcenter.server,
                hint="publish to a local library; subscribed libraries follow it automatically",
            )
        return models[0].id
