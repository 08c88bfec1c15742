"""The size of the bakery's layout: its packages, the imports between them, and the longest chain of imports."""

from collections.abc import Iterable
from functools import cache

import grimp

# The aims of the layout, which a reader can keep in mind.
PACKAGES, LAYERS, IMPORTS = 24, 7, 72


def package_of(module: str) -> str:
    """The package directly below the root that a module is in; the root itself for its own module."""
    return ".".join(module.split(".")[:2])


def read_imports() -> set[tuple[str, str]]:
    """Pairs of packages of which the first imports the second."""
    graph = grimp.build_graph("bakery")
    imports = ((module, other) for module in graph.modules for other in graph.find_modules_directly_imported_by(module))
    pairs = ((package_of(module), package_of(other)) for module, other in imports)
    return {(importer, imported) for importer, imported in pairs if importer != imported}


def count_layers(imports: Iterable[tuple[str, str]]) -> int:
    """The number of packages on the longest way down; RecursionError for a circle."""
    below: dict[str, set[str]] = {}
    for importer, imported in imports:
        below.setdefault(importer, set()).add(imported)

    @cache
    def layer(package: str) -> int:
        return 1 + max(map(layer, below.get(package, ())), default=0)

    return max(map(layer, below), default=0)


def test_the_layout_is_small() -> None:
    imports = read_imports()
    packages = {package for pair in imports for package in pair}
    layers = count_layers(imports)
    print(f"{len(packages)} packages, {layers} layers, {len(imports)} imports")  # noqa: T201 - the figures are for readers
    assert len(packages) <= PACKAGES
    assert layers <= LAYERS
    assert len(imports) <= IMPORTS


def test_layers_are_counted_along_the_longest_way() -> None:
    assert count_layers({("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")}) == 3
