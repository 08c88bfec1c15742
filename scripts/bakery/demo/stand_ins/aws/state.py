"""Saves all of moto's backends to a file and restores them; refuses the file of another moto or Python."""

import copyreg
import importlib
import marshal
import pickle
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import moto
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.s3.models import s3_backends

from bakery.demo.stand_ins.aws.world import WORLD

# Pickled classes and the byte code of default factories fit only the versions that wrote them.
WRITER = f"moto {moto.__version__}, Python {sys.version_info.major}.{sys.version_info.minor}"

# Moto's own list of the services that were used since the start.
IN_USE: list[BackendDict[Any]] = BackendDict._instances  # type: ignore[misc]

Key = tuple[str, str, str, str]  # module and name of the service's backends, account, region


class StateError(Exception):
    """The state file cannot be used; the message has the remedy."""


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: object) -> Any:
        """Corrects pickle in some cases: factories of `defaultdict(lambda: …)`, subclasses of it, keys of KMS."""
        if isinstance(value, FunctionType) and "<locals>" in value.__qualname__ and not value.__closure__:
            return _function, (marshal.dumps(value.__code__), value.__module__)
        if isinstance(value, defaultdict) and type(value) is not defaultdict:
            state = (vars(value), {"default_factory": value.default_factory})
            return copyreg.__newobj__, (type(value),), state, None, iter(value.items())  # type: ignore[attr-defined]
        if isinstance(value, RSAPrivateKey | EllipticCurvePrivateKey):
            plain = value.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            return _private_key, (plain,)
        return NotImplemented


def _function(code: bytes, module: str) -> FunctionType:
    return FunctionType(marshal.loads(code), vars(importlib.import_module(module)))  # noqa: S302


def _private_key(plain: bytes) -> object:
    return load_der_private_key(plain, None)


def save(path: Path) -> None:
    """Write everything but the blocks (they are files already), then replace the old file."""
    memory = {name: value for name, value in vars(WORLD).items() if name != "blocks_folder"}
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        pickle.dump(WRITER, file)
        _Pickler(file).dump((dict(_all_backends()), s3_backends.bucket_accounts, memory))
    part.replace(path)


def restore(path: Path) -> None:
    """Load a file that this server wrote. Unpickling runs the file's code, so never load another."""
    try:
        with path.open("rb") as file:
            writer = pickle.load(file)  # noqa: S301
            if writer != WRITER:
                raise StateError(f"{path} was written by {writer}, this is {WRITER}: delete it to start afresh")
            backends, bucket_accounts, memory = pickle.load(file)  # noqa: S301
    except (pickle.UnpicklingError, EOFError, ValueError, AttributeError, ImportError) as error:
        raise StateError(f"{path} is not a state file ({error}): delete it to start afresh") from error
    vars(WORLD).update(memory)
    s3_backends.bucket_accounts.update(bucket_accounts)
    for (module, name, account, region), backend in backends.items():
        getattr(importlib.import_module(module), name)[account][region] = backend


def reset() -> None:
    """Remove all resources; backends are created again at their first use."""
    for services in IN_USE:
        for regions in services.values():
            regions.clear()
    s3_backends.bucket_accounts.clear()  # bucket names are one space for all accounts
    reset_model_data()  # without it, moto keeps every object that it ever made
    WORLD.forget()
    delete_unused_blocks()


def delete_unused_blocks() -> None:
    """Delete the blocks that no snapshot has. Call this only while none is being written."""
    used = {digest for disk in WORLD.disks.values() for digest in disk.blocks.values()}
    for block in WORLD.blocks_folder.iterdir():
        if block.name not in used:
            block.unlink()


def _all_backends() -> Iterator[tuple[Key, Any]]:
    for services in IN_USE:
        module = services.backend.__module__
        name = next(name for name, value in vars(importlib.import_module(module)).items() if value is services)
        for account, region, backend in services.iter_backends():
            yield (module, name, account, region), backend
