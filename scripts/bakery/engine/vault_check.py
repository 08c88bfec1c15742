"""Checks before a build that a login can read the paths that definitions name in Vault, without making credentials."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from bakery.bake.variables import list_value_faults
from bakery.clouds import BUILDERS, CLOUDS, STACKS
from bakery.engine import notifications
from bakery.engine.duties import Duty
from bakery.host.errors import BakeryError, OutageError
from bakery.host.vault import Vault
from bakery.host.vault.errors import no_api_path
from bakery.host.vault.secrets import KEEPING, find_engine, require_storage
from bakery.model.definition import Definitions, ImageDefinition
from bakery.model.documents import Mode
from bakery.signing import DUTIES, Keyring
from bakery.signing.keyring import SIGNING_KEY

APPLY = "BAKERY_APPLY_CREDENTIALS"  # the variable with the path of the credentials for the duty `apply`
NOTIFYING = ("bake-private", "bake-public", "verify", "publish")  # duties whose jobs send notices


@dataclass(frozen=True)
class Need:
    """A path in Vault that a definition names under `name`, and the keys that it must have.

    `mode` is set for a secret of an image: its value must be in a KV engine, since other engines create credentials,
    and reach a role of a bake in that mode.
    """

    where: str
    image: str
    name: str
    path: str
    keys: tuple[str, ...]
    mode: Mode | None = None


@dataclass(frozen=True)
class NeedCheck:
    """The answer to a need. If something is wrong, `answer` is empty, and `problem` and `hint` say why."""

    where: str
    image: str
    name: str
    path: str
    answer: str
    problem: str
    hint: str


@dataclass(frozen=True)
class Answers:
    """The checks of needs in their order, the kind of each engine of Vault by its mount, and values.

    Values are those of secrets that can be used, by path and key; none is ever shown.
    """

    checks: list[NeedCheck] = field(default_factory=list)
    engines: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class _Answer:
    """The last three fields of a check, and the values that were read, by key."""

    text: str = ""
    problem: str = ""
    hint: str = ""
    values: Mapping[str, str] = field(default_factory=dict, repr=False)


def needs(definitions: Definitions, names: Iterable[str], duty: Duty | None = None) -> list[Need]:
    """The secrets and targets' credentials of the named images, or of all; with a duty, only those that it uses."""
    return [need for image in definitions.select(names) for need in _duty_needs(definitions, image, duty)]


def due_needs(
    definitions: Definitions, image: ImageDefinition, builders: Collection[str], targets: Collection[str]
) -> Iterator[Need]:
    """The secrets of an image that some builders make, and the credentials to build and to publish at its targets."""
    if builders:
        yield from _secret_needs(definitions, image)
    for target, cloud in CLOUDS.items():
        for path, key in _target_paths(image, target, builders, targets).items():
            where = definitions.where(image.name, "distribution", target, key)
            yield Need(where, image.name, f"distribution.{target}.{key}", path, cloud.credentials)


def used(image: ImageDefinition, duty: str) -> list[str]:
    """The builders of an image that a duty runs."""
    return [builder for builder in image.builders if BUILDERS[builder].duty == duty]


def terraform(path: str) -> Need:
    """The login of `cdktf` and Terraform, which a variable names."""
    return Need(APPLY, "", "apply", path, STACKS.credentials)


def webhooks(recipients: str, duty: Duty | None = None) -> list[Need]:
    """The addresses of webhooks among the recipients that a variable names, if jobs of the duty read them."""
    if duty not in (None, *NOTIFYING):
        return []
    paths = notifications.webhook_paths(recipients)
    return [Need(notifications.VARIABLE, "", "notices", path, (notifications.KEY,)) for path in paths]


def check(vault: Vault, requests: Sequence[Need]) -> list[NeedCheck]:
    """Ask once for each path, also if several images share it. Raises OutageError if Vault does not serve."""
    return ask(vault, requests).checks


def ask(vault: Vault, requests: Sequence[Need]) -> Answers:
    """The checks of needs as above, with the engines and values that Vault gave for them."""
    engines = vault.engines()
    answers = {
        question: _check_path(vault, engines, *question)
        for question in dict.fromkeys((need.path, need.keys, need.mode) for need in requests)
    }
    checks = []
    for need in requests:
        answer = answers[need.path, need.keys, need.mode]
        checks.append(NeedCheck(need.where, need.image, need.name, need.path, answer.text, answer.problem, answer.hint))
    values = {(path, key): value for (path, *_), answer in answers.items() for key, value in answer.values.items()}
    return Answers(checks, engines, values)


def read_stored(vault: Vault, answers: Answers, paths: Collection[str]) -> dict[str, dict[str, str]]:
    """All fields of the paths that can be used, in engines which store values: others would create credentials."""
    usable = dict.fromkeys(check.path for check in answers.checks if check.answer and check.path in paths)
    return {path: vault.fields(path) for path in usable if find_engine(answers.engines, path)[1] in KEEPING}


def check_keys(keyring: Keyring, duty: Duty | None) -> list[NeedCheck]:
    """Read the public keys of the catalog, and sign a probe if the duty signs; nothing without keys in Vault."""
    if duty is None:
        return []
    checks: list[NeedCheck] = []
    if keyring.trusts_vault:
        checks.append(_check_key("public keys", keyring.keys_path, "can be read", keyring.trusted_keys))
    if duty in DUTIES and (path := keyring.signing_path(duty)):
        checks.append(_check_key("signatures", path, "can sign", partial(keyring.require_signer, duty)))
    return checks


def _check_key(name: str, path: str, answer: str, use: Callable[[], object]) -> NeedCheck:
    try:
        use()
    except OutageError:
        raise
    except BakeryError as error:
        return NeedCheck(SIGNING_KEY, "", name, path, "", error.message, error.hint)
    return NeedCheck(SIGNING_KEY, "", name, path, answer, "", "")


def _duty_needs(definitions: Definitions, image: ImageDefinition, duty: Duty | None) -> Iterator[Need]:
    if duty == "verify":  # it searches the disk of a private bake for the secrets of that bake
        if used(image, "bake-private"):
            yield from _secret_needs(definitions, image)
        return
    builders = image.builders if duty is None else used(image, duty)
    yield from due_needs(definitions, image, builders, image.targets if duty in (None, "publish") else ())


def _secret_needs(definitions: Definitions, image: ImageDefinition) -> Iterator[Need]:
    for name, secret in image.secrets.items():
        where = definitions.where(image.name, "secrets", name, "path")
        yield Need(where, image.name, f"secrets.{name}", secret.path, (secret.key,), image.mode)


def _target_paths(
    image: ImageDefinition, target: str, builders: Collection[str], targets: Collection[str]
) -> dict[str, str]:
    """The paths of a target's credentials that building and publishing there read, and the key of each."""
    publish, build = image.distribution.credentials(target), image.distribution.build_credentials(target)
    paths = {}
    if build and target in builders:
        paths[build] = "build_credentials" if build != publish else "credentials"
    if publish and target in targets:
        paths[publish] = "credentials"
    return paths


def _check_path(vault: Vault, engines: Mapping[str, str], path: str, keys: Iterable[str], mode: Mode | None) -> _Answer:
    try:
        if mode and find_engine(engines, path)[1]:  # for a path without one, access says more
            require_storage(engines, path)
        return _prove_access(vault, engines, path.strip("/"), keys, mode)
    except OutageError:
        raise
    except BakeryError as error:
        return _Answer(problem=error.message, hint=error.hint)


def _prove_access(
    vault: Vault, engines: Mapping[str, str], path: str, keys: Iterable[str], mode: Mode | None
) -> _Answer:
    """The answer of a successful check; BakeryError if a build cannot use the path."""
    mount, kind = find_engine(engines, path)
    if kind == "kv-v2" and not path.removeprefix(mount).startswith("data/"):
        raise no_api_path(path, mount)  # before reading, since a policy for the correct path denies this one
    if kind in KEEPING:
        return _Answer("can be read", values=_read_keys(vault, path, keys, mode))
    if not vault.may_read(path):
        raise BakeryError(f"Vault denies access to {path}", hint="the token's policy must allow 'read' on that path")
    if not kind:
        raise BakeryError(
            f"there is no secrets engine at {path}", hint="check the path's first part, and VAULT_NAMESPACE"
        )
    return _Answer(f"can be created by the {kind} engine")


def _read_keys(vault: Vault, path: str, keys: Iterable[str], mode: Mode | None) -> dict[str, str]:
    """The values, read as a build will. One error has the problems of all keys, and of their values in a bake."""
    values, errors = {}, []
    for key in keys:
        try:
            values[key] = value = vault.read(path, key)
            faults = list_value_faults(value, mode) if mode else ()
            errors += [BakeryError(f"the value of '{key}' in {path} {reason}", hint=hint) for reason, hint in faults]
        except OutageError:
            raise
        except BakeryError as error:
            errors.append(error)
    if errors:
        messages = dict.fromkeys(error.message for error in errors)
        raise BakeryError("; ".join(messages), hint=errors[0].hint)
    return values
