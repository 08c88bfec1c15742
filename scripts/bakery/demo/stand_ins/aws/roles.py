"""STS: sessions of roles have a length and an end; moto checks neither."""

from datetime import timedelta
from typing import Any

from moto.core.responses import ActionResult
from moto.sts.exceptions import STSValidationError
from moto.sts.models import AssumedRole, STSBackend, sts_backends
from moto.sts.responses import TokenResponse
from moto.utilities.utils import get_partition

from bakery.demo.stand_ins.aws.calls import Call
from bakery.demo.stand_ins.aws.world import WORLD

# API model, AssumeRole: 15 minutes to 12 hours, and an hour if the caller's credentials are of an assumed role.
SHORTEST, LONGEST, CHAINED = 900, 43_200, 3600

# Code and status where a session has ended: EC2 API reference, "Error codes", RequestExpired; S3 API reference, "Error
# responses"; STS API reference, ExpiredToken, as in the other query services; common errors of the JSON services.
EXPIRED = {
    "ec2": ("RequestExpired", 400),
    "s3": ("ExpiredToken", 400),
    "sts": ("ExpiredToken", 403),
    "iam": ("ExpiredToken", 403),
    "autoscaling": ("ExpiredToken", 403),
    "sns": ("ExpiredToken", 403),
}
OTHERS_EXPIRED = ("ExpiredTokenException", 400)

_moto_assume_role = TokenResponse.assume_role
_moto_make_session = STSBackend.assume_role


def assume_role(self: TokenResponse) -> ActionResult:
    seconds = self._get_int_param("DurationSeconds", CHAINED)
    if not SHORTEST <= seconds <= LONGEST:
        raise STSValidationError(f"DurationSeconds has to be from {SHORTEST} to {LONGEST}, not {seconds}")
    if seconds > CHAINED and self.backend.get_assumed_role_from_access_key(self.get_access_key()):
        raise STSValidationError(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        )
    return _moto_assume_role(self)


def replace_sessions() -> None:
    """Give sessions of all kinds their end: AssumeRole, AssumeRoleWithWebIdentity and AssumeRoleWithSAML."""
    STSBackend.assume_role = _make_session  # type: ignore[assignment,method-assign]


def _make_session(self: STSBackend, duration: int, **request: Any) -> AssumedRole:
    """A session that lasts as long as the request says, or as the setting if that is shorter."""
    seconds = min(duration, WORLD.settings.session_seconds or duration)
    session = _moto_make_session(self, duration=duration, **request)
    session.expiration = (WORLD.now() + timedelta(seconds=seconds)).replace(tzinfo=None)
    return session


def is_expired(call: Call) -> bool:
    """Whether a call is signed in a session that has ended."""
    if not call.account:
        return False
    sessions = sts_backends[call.account][get_partition(call.region)]
    session = sessions.get_assumed_role_from_access_key(call.key)
    return session is not None and session.expiration <= WORLD.now().replace(tzinfo=None)


HANDLERS = (assume_role,)
