"""Works in several libraries side by side: one that fails, or does not answer, keeps none of the others waiting."""

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from bakery.host.errors import BakeryError, NotFoundError, join_errors
from bakery.host.parallel import Outcome, run_parallel
from bakery.model.documents import Location

Result = TypeVar("Result")

LIBRARIES_AT_ONCE = 8  # few have more; a vCenter limits the sessions of a user to some hundreds


def try_everywhere(
    locations: Collection[Location], work: Callable[[Location], Result]
) -> dict[Location, Outcome[Result]]:
    """The outcome of `work` at each location, several at once."""
    by_name = {name_place(location): location for location in locations}
    outcomes = run_parallel(list(by_name), lambda name: work(by_name[name]), min(LIBRARIES_AT_ONCE, len(by_name) or 1))
    return {by_name[outcome.name]: outcome for outcome in outcomes}


def do_everywhere(
    doing: str, locations: Collection[Location], work: Callable[[Location], Result | None]
) -> dict[Location, Result]:
    """The results of `work` by location, without those of None; one error at the end for all that failed."""
    outcomes = try_everywhere(locations, work)
    raise_failures(doing, {name_place(place): outcome.error for place, outcome in outcomes.items() if outcome.error})
    return {place: outcome.result for place, outcome in outcomes.items() if outcome.result is not None}


def raise_failures(doing: str, failures: Mapping[str, BakeryError]) -> None:
    """One error for all failures by the name of their place; the error itself if it is alone.

    NotFoundError if nothing is at any of them.
    """
    if not failures:
        return
    first = next(iter(failures.values()))
    if len(failures) == 1:
        raise first
    if all(isinstance(error, NotFoundError) for error in failures.values()):
        raise join_errors(
            failures.items(), f"cannot {doing}: no such item in {', '.join(failures)}", first.hint, NotFoundError
        )
    raise join_errors(failures.items(), f"cannot {doing} in {', '.join(failures)}", first.hint)


def name_place(place: Location) -> str:
    """A library in messages: its vCenter and its name."""
    return "/".join(place)
