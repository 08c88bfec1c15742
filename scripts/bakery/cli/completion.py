"""The words that a shell completes: names of images, versions, channels and stacks.

A list that cannot be read is empty: a shell would show the error in the middle of a line.
"""

from collections.abc import Callable, Iterable, MutableMapping
from itertools import pairwise
from pathlib import Path

import typer

from bakery.catalog import Catalog
from bakery.clouds.definitions import load_valid
from bakery.engine.session import open_catalog
from bakery.host.errors import BakeryError
from bakery.infra import stacks
from bakery.model.project import Project

DEFAULT_ARCH = "x86_64"  # of images, for verbs that do not ask


def join_words(environment: MutableMapping[str, str]) -> str:
    """Join the words of a line that bash split at each @, as in web@1.0.0, and return the image of the last one.

    The last word begins at its @: bash replaces no more of the line.
    """
    if environment.get("_BAKERY_COMPLETE") != "complete_bash":
        return ""
    words = environment["COMP_WORDS"].split("\n")[: int(environment["COMP_CWORD"]) + 1]
    joined, is_joined = words[:1], False
    for before, word in pairwise(words):
        # An empty word after an @ is one of its own: a space is between them.
        is_joined = word == "@" or (before == "@" and word != "")
        if is_joined:
            joined[-1] += word
        else:
            joined.append(word)
    image = joined[-1].rpartition("@")[0] if is_joined else ""
    joined[-1] = joined[-1].removeprefix(image)
    environment.update(COMP_WORDS="\n".join(joined), COMP_CWORD=str(len(joined) - 1))
    return image


def complete_images(context: typer.Context, incomplete: str) -> list[str]:
    """Images of the definitions; of the catalog for a verb that reads no definitions."""
    folder = context.params.get("definitions")
    if folder is None:
        return _read_words(lambda: _catalog_of(context).image_names(), incomplete)
    return _read_words(lambda: load_valid(folder)[0].images, incomplete)


def complete_versions(context: typer.Context, incomplete: str) -> list[str]:
    """Versions of the image that is named before."""
    return _read_words(lambda: _catalog_of(context).versions(*_image_of(context)), incomplete)


def complete_channels(context: typer.Context, incomplete: str) -> list[str]:
    """Channels of the image that is named before."""
    return _read_words(lambda: _catalog_of(context).channels(*_image_of(context)), incomplete)


def complete_version_names(context: typer.Context, incomplete: str) -> list[str]:
    """IMAGE, and after an @ also IMAGE@VERSION and IMAGE@CHANNEL, without the image that `join_words` returned."""
    split_image = context.obj or ""
    image, at, _ = f"{split_image}{incomplete}".partition("@")
    if not at:
        return complete_images(context, incomplete)

    def list_names() -> list[str]:
        catalog, arch = _catalog_of(context), context.params.get("arch") or DEFAULT_ARCH
        names = (*catalog.channels(image, arch), *catalog.versions(image, arch))
        return [f"{image}@{name}".removeprefix(split_image) for name in names]

    return _read_words(list_names, incomplete)


def complete_stacks(context: typer.Context, incomplete: str) -> list[str]:
    """Stacks of the last 'bakery diff' or 'bakery apply': to know them otherwise takes seconds."""
    output: Path = context.params["workspace"] / "cdktf.out"
    return _read_words(lambda: [stack.name for stack in stacks.load(output)], incomplete)


def _image_of(context: typer.Context) -> tuple[str, str]:
    return context.params.get("image") or "", context.params.get("arch") or DEFAULT_ARCH


def _catalog_of(context: typer.Context) -> Catalog:
    root = Path.cwd()
    project = Project(root, root, context.params["workspace"].absolute())  # a catalog has no use for definitions
    return open_catalog(project, context.params["catalog"], must_exist=True)


def _read_words(read: Callable[[], Iterable[str]], incomplete: str) -> list[str]:
    try:
        return [word for word in read() if word.startswith(incomplete)]
    except (BakeryError, OSError, ValueError):
        return []
