"""Download a file over HTTP: continue an earlier attempt, and keep the file only if its digest is right."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import stamina

from bakery.host import files
from bakery.host.connection_settings import require_proxies
from bakery.host.errors import PASSING, BakeryError, UsageError
from bakery.host.events import Event, Reporter

SILENCE_SECONDS = 60.0  # a connection without data counts as broken after this time
ATTEMPTS = 5  # for one call; with waits of 1, 2, 4 and 5 s between them
RANGE_NOT_SATISFIABLE = 416
ALGORITHMS = {64: "sha256", 128: "sha512"}  # by the number of hexadecimal digits


class _BrokenError(Exception):
    """The transfer stopped early; the next attempt continues it."""


def download(url: str, digest: str, target: Path, report: Reporter) -> None:
    """Fetch `url` to `target`, whose SHA-256 or SHA-512 must be `digest`, in hex; its length tells which.

    `<target>.part` keeps the bytes so far for the next attempt. A complete file with a wrong digest is removed.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise UsageError(f"not a URL that can be downloaded: {url}", hint="use http:// or https://")
    require_proxies(os.environ)
    part = target.with_name(f"{target.name}.part")
    with files.explain_refusals(part):
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch_file(url, part, report)
        _accept_file(url, digest, part, target)


def _fetch_file(url: str, part: Path, report: Reporter) -> None:
    try:
        for attempt in stamina.retry_context(on=_BrokenError, attempts=ATTEMPTS, timeout=None, wait_initial=1.0):
            with attempt:
                _fetch_missing_bytes(url, part, report)
    except _BrokenError as error:
        raise BakeryError(
            f"the download broke off: {error}", where=url, hint="run again: the download continues where it stopped"
        ) from error


def _accept_file(url: str, expected: str, part: Path, target: Path) -> None:
    with part.open("rb") as stream:
        digest = hashlib.file_digest(stream, ALGORITHMS[len(expected)]).hexdigest()
    _validator_path(part).unlink(missing_ok=True)
    if digest != expected:
        part.unlink()
        raise BakeryError(
            "the download has a wrong checksum, and was removed",
            where=url,
            detail=f"expected {expected}\nfound    {digest}",
            hint="the file at the URL changed: run again if it follows a list of checksums, else correct its sha256",
        )
    part.replace(target)


def _fetch_missing_bytes(url: str, part: Path, report: Reporter) -> None:
    """Append the missing rest of the file to `part`."""
    request = urllib.request.Request(url, headers=_resume_headers(part))  # noqa: S310 - `download` checked the scheme
    try:
        response = urllib.request.urlopen(request, timeout=SILENCE_SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == RANGE_NOT_SATISFIABLE:  # nothing is missing, which the digest will prove
            return
        raise _describe_refusal(url, error) from error
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(str(error)) from error
    with response:
        _receive_body(url, response, part, report)


def _describe_refusal(url: str, error: urllib.error.HTTPError) -> Exception:
    answer = f"HTTP {error.code} {error.reason}"
    if error.code in PASSING:
        return _BrokenError(answer)
    return BakeryError(f"the server answers {answer}", where=url, hint="check the URL")


def _receive_body(url: str, response: http.client.HTTPResponse, part: Path, report: Reporter) -> None:
    is_partial = response.status == http.client.PARTIAL_CONTENT
    done = part.stat().st_size if is_partial else 0
    length = response.headers.get("Content-Length")
    total = done + int(length) if length else None
    files.require_space(part.parent, total - done if total else 0, "the download")
    last_percent = -1
    with part.open("ab" if is_partial else "wb") as stream:
        _validator_path(part).write_text(_response_validator(response))
        while chunk := _read_chunk(response):
            stream.write(chunk)
            done += len(chunk)
            percent = done * 100 // total if total else done >> 20
            if percent != last_percent:
                last_percent = percent
                report(Event("progress", "base", url, f"{done >> 20} MiB", fraction=done / total if total else None))
    if total is not None and done < total:
        raise _BrokenError(f"{done} of {total} bytes arrived")


def _read_chunk(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(files.CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(str(error)) from error


def _resume_headers(part: Path) -> Mapping[str, str]:
    """The headers of a request for the rest, if the server can tell whether the file is still the same."""
    try:
        validator, done = _validator_path(part).read_text(), part.stat().st_size
    except FileNotFoundError:
        return {}
    return {"Range": f"bytes={done}-", "If-Range": validator} if validator and done else {}


def _response_validator(response: http.client.HTTPResponse) -> str:
    """The value for If-Range: a strong ETag, or a date (RFC 9110, 13.1.5)."""
    tag = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _validator_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.validator")
