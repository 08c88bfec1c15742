"""Eventual consistency: the next calls do not see a new image, snapshot or parameter.

Sources: the EC2 developer guide, "Eventual consistency in the Amazon EC2 API"; awslabs/coldsnap issue 43, a snapshot
that was unknown for a minute. A name that has to be unique, of an image or parameter, is taken at once.
"""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ssm.models import ssm_backends

from bakery.demo.stand_ins.aws.calls import Call
from bakery.demo.stand_ins.aws.world import WORLD, Unseen

# Kinds of resources, and the calls that make them.
MAKERS = {
    "image": {"RegisterImage", "CreateImage", "CopyImage"},
    "snapshot": {"StartSnapshot", "CreateSnapshot", "CopySnapshot", "CreateImage", "CopyImage"},
    "parameter": {"PutParameter"},
}
# These see all names.
UNIQUE = {"image": {"RegisterImage", "CreateImage"}, "snapshot": set(), "parameter": {"PutParameter"}}
SERVICES = {"image": "ec2", "snapshot": "ec2", "parameter": "ssm"}

Key = tuple[str, str, str, str]  # kind, account, region, name


@contextmanager
def delay(call: Call) -> Iterator[None]:
    """Keep the unseen resources from one call, and what it makes from the next ones. Only one call at a time."""
    settings = WORLD.settings
    delays = bool(settings.consistency_calls or settings.consistency_seconds)
    if not delays and not WORLD.unseen:
        yield
        return
    hidden = {key: _store(key).pop(key[3]) for key in _unseen_keys(call) if key[3] in _store(key)}
    kinds = [kind for kind, actions in MAKERS.items() if call.action in actions] if delays else []
    before = {kind: set(_store((kind, call.account, call.region, ""))) for kind in kinds}
    try:
        yield
    finally:
        for key, resource in hidden.items():
            _store(key)[key[3]] = resource
    until = WORLD.now() + timedelta(seconds=settings.consistency_seconds)
    for kind, names in before.items():
        place = kind, call.account, call.region
        for name in _store((*place, "")).keys() - names:
            WORLD.unseen.setdefault((*place, name), Unseen(settings.consistency_calls, until))


def _unseen_keys(call: Call) -> list[Key]:
    """The resources that this call does not see. It counts for those of its service, account and region."""
    keys = []
    for key, unseen in list(WORLD.unseen.items()):
        kind, account, region, _ = key
        if call.service != SERVICES[kind]:
            continue
        if unseen.calls_left <= 0 and unseen.until <= WORLD.now():
            del WORLD.unseen[key]
        elif call.action not in UNIQUE[kind]:
            keys.append(key)
        if (account, region) == (call.account, call.region):
            unseen.calls_left -= 1
    return keys


def _store(key: Key) -> MutableMapping[str, Any]:
    """Resources of one kind, account and region, as moto keeps them."""
    kind, account, region, _ = key
    match kind:
        case "image":
            return ec2_backends[account][region].amis
        case "snapshot":
            return ec2_backends[account][region].snapshots
        case _:
            return ssm_backends[account][region]._parameters
