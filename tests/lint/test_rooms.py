"""The size of the bakery's map: packages are rooms, imports arrows, and the longest chain of arrows has the floors."""

from collections.abc import Iterable
from functools import cache

import grimp

# The aims of the layout; a map within them fits in a head.
ROOMS, FLOORS, ARROWS = 24, 7, 70


def room_of(module: str) -> str:
    """The package directly below the root that a module is in; the root itself for its own module."""
    return ".".join(module.split(".")[:2])


def read_arrows() -> set[tuple[str, str]]:
    """Pairs of packages of which the first imports the second."""
    graph = grimp.build_graph("bakery")
    imports = ((module, other) for module in graph.modules for other in graph.find_modules_directly_imported_by(module))
    pairs = ((room_of(module), room_of(other)) for module, other in imports)
    return {(importer, imported) for importer, imported in pairs if importer != imported}


def count_floors(arrows: Iterable[tuple[str, str]]) -> int:
    """The number of rooms on the longest way down; RecursionError for a circle."""
    below: dict[str, set[str]] = {}
    for importer, imported in arrows:
        below.setdefault(importer, set()).add(imported)

    @cache
    def floor(room: str) -> int:
        return 1 + max(map(floor, below.get(room, ())), default=0)

    return max(map(floor, below), default=0)


def test_the_map_fits_in_a_head() -> None:
    arrows = read_arrows()
    rooms = {room for arrow in arrows for room in arrow}
    floors = count_floors(arrows)
    print(f"{len(rooms)} rooms, {floors} floors, {len(arrows)} arrows")  # noqa: T201 - the figures are for readers
    assert len(rooms) <= ROOMS
    assert floors <= FLOORS
    assert len(arrows) <= ARROWS


def test_floors_are_counted_along_the_longest_way() -> None:
    assert count_floors({("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")}) == 3
