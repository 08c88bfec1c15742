"""STS: limits on the duration of an assumed role, which moto does not check."""

from moto.core.responses import ActionResult
from moto.sts.exceptions import STSValidationError
from moto.sts.responses import TokenResponse

# API model, AssumeRole: 15 minutes to 12 hours, and an hour if the caller's credentials are of an assumed role.
SHORTEST, LONGEST, CHAINED = 900, 43_200, 3600

_moto_assume_role = TokenResponse.assume_role


def assume_role(self: TokenResponse) -> ActionResult:
    seconds = self._get_int_param("DurationSeconds", CHAINED)
    if not SHORTEST <= seconds <= LONGEST:
        raise STSValidationError(f"DurationSeconds has to be from {SHORTEST} to {LONGEST}, not {seconds}")
    if seconds > CHAINED and self.backend.get_assumed_role_from_access_key(self.get_access_key()):
        raise STSValidationError(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        )
    return _moto_assume_role(self)


HANDLERS = (assume_role,)
