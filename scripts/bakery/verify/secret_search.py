"""Searches a whole disk, including deleted files, for secret values in the encodings that programs use."""

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

from bakery.machine import disk_image
from bakery.machine.filesystem import FileSystem
from bakery.machine.root import NoRootError, open_root
from bakery.model.documents import Check

NAME = "no secret on the disk"
SHORTEST = 8  # characters; shorter values occur everywhere by chance
CHUNK = 64 << 20  # bytes read at once; larger gains nothing
# Encoded text is often broken into lines of 64 or 76 characters. Search for two adjacent windows from the middle of a
# long value: a line break is in at most one of them. 12 characters of base64 or 16 of hex do not occur by chance.
BASE64_WINDOW = 12
HEX_WINDOW = 16
LINE = 20  # characters; shorter lines of a value match by chance

Needles = dict[str, set[bytes]]  # by the name of the encoding


def search(raw: Path, secrets: Iterable[str]) -> list[Check]:
    """One check for all values. A hit names the location and the encoding, never the value."""
    values = [value.strip() for value in secrets if value.strip()]
    short = [value for value in values if len(value) < SHORTEST]
    needles = {number: _secret_needles(value) for number, value in enumerate(values, 1) if len(value) >= SHORTEST}
    hits = [
        f"secret {number} of {len(values)} in {encoding} at byte {offset}: {_name_place(disk, root, offset)}"
        for disk, root in (_list_disks(raw) if needles else ())
        for number, encoding, offset in _find_hits(disk, needles)
    ]
    checks = [Check(NAME, not hits, "; ".join(hits))]
    if short:
        detail = f"{len(short)} of {len(values)} are shorter than {SHORTEST} characters and would match by chance"
        checks.append(Check("secrets are long enough to search for", False, detail))
    return checks


def _secret_needles(value: str) -> Needles:
    plain = value.encode()
    # A path keeps its slashes, a form writes spaces as "+", and JavaScript does not encode a few more characters.
    url_forms = {quote(value), quote(value, safe=""), quote(value, safe="!'()*"), quote_plus(value)}
    json_forms = {json.dumps(value, ensure_ascii=ascii)[1:-1].encode() for ascii in (True, False)}
    lines = {line.strip() for line in value.splitlines() if len(line.strip()) >= LINE}
    return {
        # A line such as "-----BEGIN PRIVATE KEY-----" is no secret.
        "plain text": {plain, *(line.encode() for line in lines if not line.startswith("-----"))},
        "JSON": json_forms - {plain},
        "a URL": {text.encode() for text in url_forms} - {plain},
        "UTF-16": {value.encode("utf-16-le")},
        "base64": {window for text in _base64_texts(plain) for window in _middle_windows(text, BASE64_WINDOW)},
        "hex": {
            window
            for text in (plain.hex(), plain.hex().upper())
            for window in _middle_windows(text.encode(), HEX_WINDOW)
        },
    }


def _base64_texts(plain: bytes) -> Iterator[bytes]:
    """The value inside of longer data, at any of the three offsets in a group, in both alphabets."""
    for before in range(3):
        full_text = base64.b64encode(bytes(before) + plain)
        # Characters that also have bits of the data before or after the value.
        first = -(-before * 8 // 6)
        last = (before + len(plain)) * 8 // 6
        text = full_text[first:last]
        yield text
        yield text.translate(bytes.maketrans(b"+/", b"-_"))


def _middle_windows(text: bytes, size: int) -> Iterable[bytes]:
    if len(text) < 2 * size:
        return (text,)
    middle = len(text) // 2
    return (text[middle - size : middle], text[middle : middle + size])


def _find_hits(raw: Path, needles: dict[int, Needles]) -> Iterator[tuple[int, str, int]]:
    """(number of the secret, encoding, first offset) of each hit."""
    pending = {
        (number, encoding): texts for number, forms in needles.items() for encoding, texts in forms.items() if texts
    }
    longest = max((len(text) for texts in pending.values() for text in texts), default=0)
    for start, data in _read_data(raw, longest):
        for key, texts in list(pending.items()):
            places = [place for place in (data.find(text) for text in texts) if place >= 0]
            if places:
                del pending[key]
                yield (*key, start + min(places))


def _read_data(raw: Path, overlap: int) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of everything but holes; each piece repeats `overlap` bytes of the one before."""
    with raw.open("rb") as stream:
        for start, end in disk_image.data_extents(raw):
            for offset in range(start, end, CHUNK):
                stream.seek(max(start, offset - overlap))
                yield stream.tell(), stream.read(min(offset + CHUNK, end) - stream.tell())


def _list_disks(raw: Path) -> Iterator[tuple[Path, FileSystem | None]]:
    """The disk, and the copy of its root if it has one: btrfs may compress what it stores. Each with its root."""
    try:
        root = open_root(raw)
    except NoRootError:  # a rule of its own reports that
        yield raw, None
        return
    if root.raw != raw:
        yield raw, None
    yield root.raw, root


def _name_place(disk: Path, root: FileSystem | None, offset: int) -> str:
    if root is None:
        return f"in {disk.name}"
    if root.partition.start <= offset < root.partition.start + root.partition.size:
        return root.owner(offset)
    return "outside of the root file system"
