"""Replaces secret values in logs, on the screen and in errors."""

import json
import re
from collections.abc import Iterable, Iterator

SHORT_LINE = 4  # shorter lines of a secret, such as a closing brace, are not secret and occur everywhere
REDACTED = "<redacted>"


class Redactor:
    """Replaces known secret values in text, line by line for those that span lines, also as JSON writes them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        values = {value for secret in secrets for value in _secret_forms(secret) if value.strip()}
        # One pattern, longest first: otherwise the replacement of one value would be searched for the next.
        self._pattern = re.compile("|".join(re.escape(value) for value in sorted(values, key=len, reverse=True)))
        self._empty = not values

    def __call__(self, text: str) -> str:
        return text if self._empty else self._pattern.sub(REDACTED, text)


def _secret_forms(secret: str) -> Iterator[str]:
    lines = [line.strip() for line in secret.splitlines()]
    for value in (secret, secret.strip(), *(line for line in lines if len(line) >= SHORT_LINE)):
        yield value
        yield json.dumps(value)[1:-1]
        yield json.dumps(value, ensure_ascii=False)[1:-1]
