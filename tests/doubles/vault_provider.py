"""Terraform and the Vault provider, stood in for: puts a synthesised stack on a real Vault, and plans what changes.

The provider's program is not to be had here. `vault_kinds` says what it does with each kind of resource; a kind or an
argument that is not there is refused, as is a reference to nothing. What was applied is read back and compared, as each
plan does: a value that Vault returns in other words would show up as a change in every plan.

It cannot show the provider's own checks of arguments (`terraform validate` does, where a mirror has the provider).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import hvac

from doubles.vault_kinds import KINDS, LOGIN, Arguments, Kind

Stack = Mapping[str, Any]

REFERENCE = re.compile(r"\$\{(\w+\.[\w-]+)\.(\w+)\}")
LATER = "(known after apply)"
PROVIDER = {"address", "skip_child_token"}
META = {"lifecycle"}  # Terraform's own
# Where a resource is: that is how it is found again, so that reading it back says nothing more.
PLACE = {"path", "backend", "name", "role_name", "role"}


class RefusedError(Exception):
    """What Terraform or the provider would not take either."""


class VaultProvider:
    """With its state: the addresses of what is on the Vault."""

    def __init__(self, client: hvac.Client, state: Iterable[str] = ()) -> None:
        self._client = client
        self.state = set(state)

    def plan(self, stack: Stack) -> list[str]:
        """What an apply would do: resources to make, and arguments that are not what the server says."""
        self._log_in()
        changes = []
        for address, arguments in ordered(stack, self._computed):
            if address in self.state:
                changes += [f"update {address}: {name}" for name in sorted(self._changed(address, arguments))]
            else:
                changes.append(f"create {address}")
        return changes

    def apply(self, stack: Stack) -> None:
        """RefusedError for what has no meaning; hvac's errors for what Vault refuses."""
        self._log_in()
        for address, arguments in ordered(stack, self._computed):
            if address not in self.state:
                self._write(_kind(address).create(arguments))
                self.state.add(address)
                self._changed(address, arguments)
            elif changed := self._changed(address, arguments):
                update = _kind(address).update
                if update is None:
                    raise RefusedError(f"{address} would be replaced: {', '.join(sorted(changed))}")
                self._write(update(arguments, changed))
                self._changed(address, arguments)

    def _log_in(self) -> None:
        self._client.adapter.get(f"/v1/{LOGIN}")

    def _computed(self, address: str, arguments: Arguments) -> Arguments:
        """Attributes of a resource that are in no stack."""
        kind = _kind(address)
        if not kind.computed or address not in self.state:
            return dict.fromkeys(kind.computed, LATER)
        answers = [self._client.adapter.get(f"/v1/{path}")["data"] for path in kind.read(arguments)]
        return {name: answer[name] for answer in answers for name in kind.computed if name in answer}

    def _write(self, calls: list[tuple[str, Arguments]]) -> None:
        for path, body in calls:
            self._client.adapter.post(f"/v1/{path}", json=body)

    def _changed(self, address: str, arguments: Arguments) -> set[str]:
        """Arguments that are not what the server says. The provider reads after each write, too."""
        kind = _kind(address)
        answers = [self._client.adapter.get(f"/v1/{path}")["data"] for path in kind.read(arguments)]
        seen = kind.seen(arguments, {name: value for answer in answers for name, value in answer.items()})
        told = arguments.keys() - PLACE
        if unseen := told - seen.keys():
            raise RefusedError(f"{address}: Vault does not say {', '.join(sorted(unseen))}")
        return {name for name in told if _plain(arguments[name]) != _plain(seen[name])}


def ordered(
    stack: Stack, computed: Callable[[str, Arguments], Arguments] = lambda _address, _arguments: {}
) -> Iterator[tuple[str, Arguments]]:
    """Resources with their references resolved, each after those that it refers to.

    `computed` is asked for the further attributes of a resource once the caller is done with it.
    """
    (provider,) = stack["provider"]["vault"]
    if unknown := provider.keys() - PROVIDER:
        raise RefusedError(f"provider: {', '.join(sorted(unknown))}")
    waiting = {
        f"{kind}.{name}": _arguments(kind, arguments)
        for kind, named in stack["resource"].items()
        for name, arguments in named.items()
    }
    known: dict[str, Arguments] = {}
    while waiting:
        ready = [address for address, arguments in waiting.items() if _references(arguments) <= known.keys()]
        if not ready:
            raise RefusedError(f"{min(waiting)} refers to what is not there, or to itself")
        for address in ready:
            arguments = _resolve(waiting.pop(address), known)
            yield address, arguments
            known[address] = arguments | computed(address, arguments)


def _kind(address: str) -> Kind:
    return KINDS[address.partition(".")[0]]


def _arguments(kind: str, arguments: Arguments) -> Arguments:
    if kind not in KINDS:
        raise RefusedError(f"no kind {kind}")
    if unknown := arguments.keys() - KINDS[kind].known - META:
        raise RefusedError(f"{kind}: {', '.join(sorted(unknown))}")
    return {name: value for name, value in arguments.items() if name not in META}


def _references(value: Any) -> set[str]:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return {address for one in inner for address in _references(one)}
    return {address for address, _ in REFERENCE.findall(value)} if isinstance(value, str) else set()


def _resolve(value: Any, known: Mapping[str, Arguments]) -> Any:
    if isinstance(value, dict):
        return {name: _resolve(inner, known) for name, inner in value.items()}
    if isinstance(value, list):
        return [_resolve(inner, known) for inner in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    if whole := REFERENCE.fullmatch(value):
        return _attribute(whole, known)
    text = REFERENCE.sub(lambda part: str(_attribute(part, known)), value)
    if "${" in text:
        raise RefusedError(f"cannot resolve {value}")
    return text


def _attribute(reference: re.Match[str], known: Mapping[str, Arguments]) -> Any:
    arguments = known.get(reference[1], {})
    if reference[2] not in arguments:
        raise RefusedError(f"cannot resolve {reference[0]}")
    return arguments[reference[2]]


def _plain(value: Any) -> Any:
    """Lists of these resources are sets to the provider."""
    return sorted(value) if isinstance(value, list) else value
