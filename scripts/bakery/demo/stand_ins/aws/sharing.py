"""Block public access for images and snapshots: settings of an account in a region, which moto lacks."""

from typing import Any, Literal

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses._base_response import EC2BaseResponse

from bakery.demo.stand_ins.aws.world import WORLD

Kind = Literal["image", "snapshot"]
OPEN = "unblocked"
BLOCKING = {"image": {"block-new-sharing"}, "snapshot": {"block-new-sharing", "block-all-sharing"}}
FIELD = {"image": "ImageBlockPublicAccessState", "snapshot": "State"}


def enable_image_block_public_access(self: EC2BaseResponse) -> ActionResult:
    return _enable_block(self, "image")


def disable_image_block_public_access(self: EC2BaseResponse) -> ActionResult:
    return _set_state(self, "image", OPEN)


def get_image_block_public_access_state(self: EC2BaseResponse) -> ActionResult:
    return _get_state(self, "image")


def enable_snapshot_block_public_access(self: EC2BaseResponse) -> ActionResult:
    return _enable_block(self, "snapshot")


def disable_snapshot_block_public_access(self: EC2BaseResponse) -> ActionResult:
    return _set_state(self, "snapshot", OPEN)


def get_snapshot_block_public_access_state(self: EC2BaseResponse) -> ActionResult:
    return _get_state(self, "snapshot")


def refuse_public(self: EC2BaseResponse, kind: Kind, groups: object) -> None:
    """Raise OperationNotPermitted if `groups` is not empty and public sharing is blocked."""
    if groups and _current_state(self, kind) != OPEN:
        raise EC2ClientError("OperationNotPermitted", f"Public sharing of a {kind} is blocked for the account")


def _enable_block(self: EC2BaseResponse, kind: Kind) -> ActionResult:
    state = self._get_param(FIELD[kind])
    if state not in BLOCKING[kind]:
        raise EC2ClientError("InvalidParameterValue", f"unknown state {state}")
    return _set_state(self, kind, state)


def _set_state(self: EC2BaseResponse, kind: Kind, state: str) -> ActionResult:
    self.error_on_dryrun()
    WORLD.sharing[_state_key(self, kind)] = state
    return ActionResult({FIELD[kind]: state})


def _get_state(self: EC2BaseResponse, kind: Kind) -> ActionResult:
    return ActionResult({FIELD[kind]: _current_state(self, kind), "ManagedBy": "account"})


def _current_state(self: EC2BaseResponse, kind: Kind) -> str:
    return WORLD.sharing.get(_state_key(self, kind), OPEN)


def _state_key(self: Any, kind: Kind) -> tuple[str, str, str]:
    return self.current_account, self.region, kind


HANDLERS = (
    enable_image_block_public_access,
    disable_image_block_public_access,
    get_image_block_public_access_state,
    enable_snapshot_block_public_access,
    disable_snapshot_block_public_access,
    get_snapshot_block_public_access_state,
)
