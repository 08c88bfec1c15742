"""The parameter of one version, written in each region as soon as the region's image can be used there."""

from collections.abc import Callable, Mapping

from bakery.clouds.aws import parameters
from bakery.clouds.aws.calls import raise_failures, try_all
from bakery.clouds.aws.clients import Image
from bakery.clouds.aws.session import SsmEndpoint
from bakery.host.errors import BakeryError
from bakery.model.documents import Pointer


class VersionParameter:
    """A version's parameter in all locations. `pointers` has those that are live, by location."""

    def __init__(
        self,
        name: str,
        endpoints: parameters.Endpoints,
        unreachable: Mapping[str, BakeryError],
        is_gone: Callable[[Pointer], bool],
    ) -> None:
        """Look at the parameter everywhere; BakeryError if one has another data type.

        `unreachable` are accounts without a login. `is_gone` says whether a parameter's image does not exist any more.
        """
        self._name = name
        self._endpoints = endpoints
        self._unreachable = unreachable
        self._is_gone = is_gone
        self.pointers: dict[str, Pointer] = {}
        # A location that does not answer now is asked again in its turn, and fails alone.
        self._before, failures = try_all(endpoints, lambda endpoint: parameters.read(endpoint, name))
        unusable = {key: error for key, error in failures.items() if isinstance(error, parameters.DataTypeError)}
        raise_failures(f"write {name}", unusable)

    def point_region(self, region: str, image: Image) -> Mapping[str, BakeryError]:
        """Write the parameter in all accounts of a region; the reasons by location or account where it failed."""
        endpoints = {key: endpoint for key, endpoint in self._endpoints.items() if endpoint.region == region}
        pointers, failures = try_all(endpoints, lambda endpoint: self._write_once(endpoint, image["ImageId"]))
        self.pointers |= pointers
        return {**failures, **self._unreachable}

    def _write_once(self, endpoint: SsmEndpoint, value: str) -> Pointer:
        key = str(endpoint)
        before = self._before[key] if key in self._before else parameters.read(endpoint, self._name)
        return parameters.write_once(endpoint, self._name, value, before, self._is_gone)
