"""Observations: a series of documents, one per refresh."""

from collections.abc import Iterable

from bakery.catalog.documents import TRY_AGAIN, WRITE_TRIES, Documents
from bakery.catalog.keys import OBSERVATIONS
from bakery.catalog.writer import actor, now
from bakery.host.errors import ConflictError
from bakery.model.observations import BaseObservation, Observation, Observations
from bakery.model.vulnerabilities import VulnerabilityObservation


class ObservationLog(Documents):
    """The observations of all refreshes."""

    def keep_observations(
        self,
        observations: Iterable[Observation],
        vulnerabilities: Iterable[VulnerabilityObservation] = (),
        bases: Iterable[BaseObservation] = (),
    ) -> Observations:
        """Keep observations, and the newest ones of all other images with them."""
        newer, matched, newest_bases = tuple(observations), tuple(vulnerabilities), tuple(bases)
        for _ in range(WRITE_TRIES):
            newest = self.newest_observations()
            number = newest.number + 1 if newest.at else 0
            document = Observations(
                number,
                now(),
                actor(),
                newest.merge(newer),
                newest.merge_vulnerabilities(matched),
                newest.merge_bases(newest_bases),
            )
            if self._create_unsigned(document):
                return document
        raise ConflictError(
            "cannot keep observations: other writers take every number", where=self.location, hint=TRY_AGAIN
        )

    def newest_observations(self) -> Observations:
        """The observations of the last refresh; none if there was no refresh."""
        documents = self._numbered_names(OBSERVATIONS)
        return self._read_unsigned(Observations, f"{OBSERVATIONS}/{documents[-1]}") if documents else Observations()
