"""The keys of an assumed role, renewed before their session ends, or when AWS says that it has ended."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from botocore.credentials import RefreshableCredentials

ENDED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_KEY = "bakery.access_key"  # of a request, in its context


class RoleCredentials(RefreshableCredentials):
    """Keys that botocore renews in the last 15 minutes of their session, one thread for all."""

    def __init__(self, assume: Callable[[], dict[str, str]]) -> None:
        """`assume` gives keys and their end in botocore's names, and is called at once."""
        keys = assume()
        self._ended_key = ""
        super().__init__(
            keys["access_key"],
            keys["secret_key"],
            keys["token"],
            datetime.fromisoformat(keys["expiry_time"]),
            assume,
            "assume-role",
        )

    def refresh_needed(self, refresh_in: int | None = None) -> bool:
        """Whether the session ends within so many seconds, or has ended before its time."""
        key = cast(Any, self)._access_key  # the public name would renew it first
        return key == self._ended_key or bool(super().refresh_needed(refresh_in))

    def renew_for(self, client: Any) -> None:
        """Have calls of a client that AWS refuses since the session has ended sent again, once, with new keys."""
        client.meta.events.register("before-sign", self._keep_key)
        client.meta.events.register("needs-retry", self._renew_ended)

    def _keep_key(self, request: Any, **_: object) -> None:
        request.context[_KEY] = self.access_key

    def _renew_ended(self, response: Any, request_dict: Any, attempts: int, **_: object) -> float | None:
        """The seconds until the call is sent again, or None for botocore's own rules."""
        code = response[1].get("Error", {}).get("Code") if response else None
        if attempts > 1 or code not in ENDED:
            return None
        self._ended_key = request_dict["context"][_KEY]
        return 0
