"""The catalog's answers to a plan: from the heads for an image that is kept, from the records for all others."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from bakery.catalog import Catalog, Failure, Record, read_all
from bakery.catalog.heads import CurrentHeads
from bakery.engine.world import Lookups
from bakery.model.definition import ImageDefinition

Answer = TypeVar("Answer")


class CatalogLookups:
    """The answers about some images. An image without heads is read from its records at once, several in parallel.

    The heads of an image are those of one moment; its records are asked again for each plan but for the newest version.
    """

    def __init__(self, catalog: Catalog, images: Sequence[ImageDefinition]) -> None:
        self._catalog = catalog
        self._heads = catalog.current_heads()
        self._newest: dict[str, Record | None] = {}
        self.failures: dict[str, tuple[Failure, ...]] = {}
        self.read_records([image for image in images if not self._heads.has(image.name, image.arch, image.version)])

    def read_records(self, images: Sequence[ImageDefinition]) -> None:
        """From now on, answer about these images from their records."""
        records = read_all(images, lambda image: self._catalog.newest(image.name, image.arch, image.version))
        names = [image.name for image in images]
        self._newest |= dict(zip(names, records, strict=True))
        limited = [image for image in images if image.max_failures]
        failures = read_all(limited, self._read_failures)
        self.failures |= {image.name: some for image, some in zip(limited, failures, strict=True)}

    def has_records(self, image: ImageDefinition) -> bool:
        """Whether the answers about an image come from its records."""
        return image.name in self._newest

    @property
    def lookups(self) -> Lookups:
        """The answers for one plan."""
        return Lookups(
            newest=self._find_newest,
            latest=lambda image: self._catalog.latest(image.name, image.arch, image.version),
            head=_ask_once(lambda image: self._source(image).last_entry(image.name, image.arch, image.channel or "")),
            move=_ask_once(lambda image: self._source(image).last_move(image.name, image.arch, image.channel or "")),
            pointed=self._catalog.record,
        )

    def _source(self, image: ImageDefinition) -> Catalog | CurrentHeads:
        return self._catalog if self.has_records(image) else self._heads

    def _find_newest(self, image: ImageDefinition) -> Record | None:
        if self.has_records(image):
            return self._newest[image.name]
        return self._heads.newest(image.name, image.arch, image.version)

    def _read_failures(self, image: ImageDefinition) -> tuple[Failure, ...]:
        newest = self._newest[image.name] or self._catalog.newest(image.name, image.arch)
        return self._catalog.failures_since(image.name, image.arch, newest)


def _ask_once(ask: Callable[[ImageDefinition], Answer]) -> Callable[[ImageDefinition], Answer]:
    """The same answers, asked for once: a plan needs them several times, and each one verifies a signature."""
    answers: dict[str, Answer] = {}

    def answer(image: ImageDefinition) -> Answer:
        if image.name not in answers:
            answers[image.name] = ask(image)
        return answers[image.name]

    return answer
