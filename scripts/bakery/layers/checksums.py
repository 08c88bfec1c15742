"""Lists of checksums that vendors keep beside their images, such as SHA256SUMS: they name the newest image.

A list is trusted because HTTPS proves its server. Its signature, if it has one, is not verified.
"""

import hashlib
import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from bakery.host import files
from bakery.host.errors import PASSING, BakeryError, OutageError
from bakery.layers.download import ALGORITHMS, SILENCE_SECONDS
from bakery.model.bases import QemuBase
from bakery.model.documents import VendorBase

# The output of sha256sum(1), and that of BSD's tools and `sha256sum --tag`.
LINES = (
    re.compile(r"^(?P<digest>[0-9a-fA-F]{64,128}) [ *](?P<name>\S+)$"),
    re.compile(r"^SHA(?:256|512) \((?P<name>[^)]+)\) = (?P<digest>[0-9a-fA-F]{64,128})$"),
)
LIST_BYTES = 1 << 20  # the list of a release of Ubuntu has 10 KB
NOT_MODIFIED = 304


def find_base(base: QemuBase, cache: Path) -> VendorBase:
    """The newest image behind the URL, as the list said when it was asked for; its date is the list's.

    `cache` keeps the list, which is sent again only if it changed. BakeryError if it does not have the image,
    OutageError if the server does not answer.
    """
    assert base.url and base.checksums
    at = datetime.now(UTC).isoformat(timespec="seconds")
    text, modified = _fetch_list(base.checksums, cache)
    name = PurePosixPath(urlsplit(base.url).path).name
    digest = _find_digest(text, name)
    if digest is None:
        raise BakeryError(
            f"the list of checksums does not have {name}",
            where=base.checksums,
            hint="check base.qemu: the list must name the last part of url, with its SHA-256 or SHA-512",
        )
    return VendorBase(f"{ALGORITHMS[len(digest)]}:{digest}", name, _read_date(modified), at)


def _read_date(modified: str) -> str:
    """The day of a Last-Modified, in ISO 8601; empty if the server sends none, or something else."""
    with suppress(ValueError):
        return parsedate_to_datetime(modified).date().isoformat()
    return ""


def _find_digest(text: str, name: str) -> str | None:
    """The digest of a file, in hex: SHA-512 if the list has both."""
    matches = (pattern.match(line.strip()) for line in text.splitlines() for pattern in LINES)
    digests = [match["digest"].lower() for match in matches if match and match["name"].removeprefix("./") == name]
    return max((digest for digest in digests if len(digest) in ALGORITHMS), key=len, default=None)


def _fetch_list(url: str, cache: Path) -> tuple[str, str]:
    """A list, and its Last-Modified; empty if the server does not send one."""
    copy = cache / "checksums" / hashlib.sha256(url.encode()).hexdigest()[:16]
    previous = _load_copy(copy)
    conditions = {"If-None-Match": previous["etag"], "If-Modified-Since": previous["modified"]}
    headers = {name: value for name, value in conditions.items() if value}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the definition's model checked the scheme
    try:
        with urllib.request.urlopen(request, timeout=SILENCE_SECONDS) as response:  # noqa: S310
            if urlsplit(response.url).scheme != "https":
                raise BakeryError("the list of checksums is not sent over HTTPS", where=url, detail=response.url)
            body = _read_list(response, url).decode(errors="replace")
            etag, modified = (response.headers.get(name, "") for name in ("ETag", "Last-Modified"))
    except urllib.error.HTTPError as error:
        if error.code == NOT_MODIFIED and headers:
            return previous["body"], previous["modified"]
        kind = OutageError if error.code in PASSING else BakeryError
        unasked = ", and was not asked whether the list changed" if error.code == NOT_MODIFIED else ""
        message = f"the server answers HTTP {error.code} {error.reason}{unasked}"
        raise kind(message, where=url, hint="check the URL") from error
    except (OSError, http.client.HTTPException) as error:
        raise OutageError("the list of checksums is out of reach", where=url, detail=str(error)) from error
    document = {"etag": etag, "modified": modified, "body": body}
    files.write_atomic(copy, json.dumps(document).encode())
    return body, modified


def _read_list(response: http.client.HTTPResponse, url: str) -> bytes:
    """Read a list to its end: a truncated copy, stored with the validators of the whole, would never be replaced."""
    body = response.read(LIST_BYTES + 1)
    if len(body) > LIST_BYTES:
        raise BakeryError("the list of checksums is longer than 1 MiB", where=url, hint="check base.qemu.checksums")
    if response.length:
        raise http.client.IncompleteRead(body, response.length)
    return body


def _load_copy(path: Path) -> Mapping[str, str]:
    """The list of the last time with its validators; empty values if there is none."""
    empty = {"etag": "", "modified": "", "body": ""}
    try:
        document: Any = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return empty
    is_copy = isinstance(document, dict) and document.keys() == empty.keys()
    return dict(document) if is_copy and all(isinstance(value, str) for value in document.values()) else empty
