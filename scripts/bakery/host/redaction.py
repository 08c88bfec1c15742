"""Replaces secret values in logs, on the screen and in errors, in all forms in which programs write them."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from bakery.host import files
from bakery.host.secret_search import Matcher, cached_matcher

SHORT_LINE = 4  # shorter lines of a secret, such as a closing brace, are not secret and occur everywhere
SHORT_VALUE = 6  # characters; encodings of shorter values occur everywhere
REDACTED = "<redacted>"


class Redactor:
    """Replaces known secret values in text, line by line for those that span lines.

    A value of fewer than SHORT_VALUE characters is found as it is and as JSON writes it, a longer one in all forms.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        known = [secret for secret in secrets if secret.strip()]
        values = {value.encode() for secret in known for value in _secret_forms(secret) if value.strip()}
        # One pattern, longest first: otherwise the replacement of one value would be searched for the next.
        self._pattern = re.compile(b"|".join(re.escape(value) for value in sorted(values, key=len, reverse=True)))
        self._values = tuple(sorted({secret.strip() for secret in known if len(secret.strip()) >= SHORT_VALUE}))
        self._empty = not values

    def __call__(self, text: str) -> str:
        if self._empty:
            return text
        return self.redact_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")

    def redact_bytes(self, content: bytes) -> bytes:
        """The bytes of a file with text in any character set."""
        if self._empty:
            return content
        plain = self._pattern.sub(REDACTED.encode(), content)
        return _redact_forms(cached_matcher(self._values), plain) if self._values else plain


def redact_files(paths: Iterable[Path], secrets: Iterable[str]) -> list[Path]:
    """Replace the values in whole files, also where a line break divides them; the files that had any."""
    redact, changed = Redactor(secrets), []
    for path in paths:
        if path.is_file() and (content := path.read_bytes()) != (plain := redact.redact_bytes(content)):
            files.write_atomic(path, plain)
            changed.append(path)
    return changed


def _redact_forms(matcher: Matcher, content: bytes) -> bytes:
    hits = matcher.find(content)
    end, parts = 0, []
    for start, stop in sorted(matcher.span(content, hit) for hit in hits):
        if start >= end:
            parts += [content[end:start], REDACTED.encode()]
        end = max(end, stop)
    return b"".join([*parts, content[end:]])


def _secret_forms(secret: str) -> Iterator[str]:
    lines = [line.strip() for line in secret.splitlines()]
    for value in (secret, secret.strip(), *(line for line in lines if len(line) >= SHORT_LINE)):
        yield value
        yield json.dumps(value)[1:-1]
        yield json.dumps(value, ensure_ascii=False)[1:-1]
