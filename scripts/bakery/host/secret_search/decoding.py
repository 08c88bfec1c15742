"""Decodes bytes around a possible secret until the value shows, and names the encodings that it had."""

import base64
import html
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

DEPTH = 3  # encodings on top of each other; each further one multiplies the work

# Quotes, backslashes and white space are not compared: shells, SQL, YAML and source code double, add or move them.
IGNORED = b"\"'` \t\r\n\\"
COMPARED = 6  # bytes that must be left of a value for that

HEX_MARKS = re.compile(rb"0x|\\x|\\u00|&#x|u\+00", re.IGNORECASE)
BACKSLASH = re.compile(
    rb"\\(?:u\{?([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|([0-7]{3})|(.))", re.DOTALL
)
LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f", b"0": b"\0"}
# UTF-16's two halves of a character beyond U+FFFF.
PAIR = re.compile(rb"\\u([Dd][89ABab][0-9A-Fa-f]{2})\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})")


def find_form(value: str, text: bytes, path: tuple[str, ...]) -> str | None:
    """The name of the form in which a value is in a text; None if it is not there. `path` is that of the piece."""
    target = _target(value)
    for names, plain in _decode_all(text, path, DEPTH - len(path), (), target.runs):
        if any(exact in plain for exact in target.exact):
            return " of ".join(names) or "plain text"
        reduced = plain.translate(None, IGNORED)
        if any(loose in reduced for loose in target.loose):
            return " of ".join((*names, "quoted text"))
    return None


class _Target(NamedTuple):
    """A value in the character sets that are compared, also without what is ignored; and its letters and digits."""

    exact: tuple[bytes, ...]
    loose: tuple[bytes, ...]
    runs: tuple[bytes, ...]


@lru_cache(maxsize=256)
def _target(value: str) -> _Target:
    exact = [value.encode()]
    with suppress(UnicodeEncodeError):
        exact.append(value.encode("latin-1"))
    loose = (text.translate(None, IGNORED) for text in exact)
    runs = re.findall("[A-Za-z0-9]+", value)
    return _Target(tuple(exact), tuple(text for text in loose if len(text) >= COMPARED), tuple(map(str.encode, runs)))


def _decode_all(
    text: bytes, path: tuple[str, ...], left: int, names: tuple[str, ...], runs: tuple[bytes, ...]
) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """(encodings, text) for every order of decoding that has the encodings of `path` and at most `left` others."""
    if not path:
        if not all(run in text for run in runs):  # what is left changes no letter and no digit
            return
        yield names, text
    else:
        for plain in CARRIERS[path[0]](text):
            yield from _decode_all(plain, path[1:], left, (*names, path[0]), runs)
    if left:
        for name, unescape in ESCAPES:
            plain = unescape(text)
            if plain != text:
                yield from _decode_all(plain, path, left - 1, (*names, name), runs)


def _decode_base64(text: bytes) -> Iterator[bytes]:
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", text.translate(bytes.maketrans(b"-_", b"+/")))
    for start in range(4):
        yield base64.b64decode(_complete_groups(letters[start:], 4, (0, 2, 3)))


def _decode_base32(text: bytes) -> Iterator[bytes]:
    for source in (text, text.upper()):
        letters = re.sub(rb"[^A-Z2-7]", b"", source)
        for start in range(8):
            yield base64.b32decode(_complete_groups(letters[start:], 8, (0, 2, 4, 5, 7)))


def _complete_groups(letters: bytes, size: int, lengths: tuple[int, ...]) -> bytes:
    """Text of groups of `size` with padding; the last one has one of the `lengths`."""
    last = next(length for length in range(len(letters) % size, -1, -1) if length in lengths)
    groups = letters[: len(letters) // size * size + last]
    return groups + b"=" * (-len(groups) % size)


def _decode_hex(text: bytes) -> Iterator[bytes]:
    digits = re.sub(rb"[^0-9A-Fa-f]", b"", HEX_MARKS.sub(b"", text))
    for start in range(2):
        part = digits[start : start + (len(digits) - start) // 2 * 2]
        yield bytes.fromhex(part.decode())


def _decode_units(width: int) -> Callable[[bytes], Iterator[bytes]]:
    def decode(text: bytes) -> Iterator[bytes]:
        for start in range(width // 8):
            for order in ("le", "be"):
                yield text[start:].decode(f"utf-{width}-{order}", "replace").encode("utf-8", "replace")

    return decode


def _decode_decimal(text: bytes) -> Iterator[bytes]:
    yield _unescape_xml(text)


def _unescape_backslash(text: bytes, is_byte: bool) -> bytes:
    """Escapes of JSON, C, Python, Java and shells; `is_byte` reads those of one byte as bytes, else as characters."""

    def replace(match: re.Match[bytes]) -> bytes:
        long, short, wide, byte, octal, letter = match.groups()
        if letter is not None:
            return LETTERS.get(letter, bytes(letter))
        if octal is not None or byte is not None:
            number = int(octal, 8) & 255 if octal is not None else int(byte, 16)
            return bytes((number,)) if is_byte else chr(number).encode()
        number = int(long or short or wide, 16)
        return chr(number).encode("utf-8", "surrogatepass") if number < 0x110000 else b""

    return BACKSLASH.sub(replace, PAIR.sub(_join_pair, text))


def _join_pair(pair: re.Match[bytes]) -> bytes:
    return bytes.fromhex((pair[1] + pair[2]).decode()).decode("utf-16-be").encode()


def _unescape_xml(text: bytes) -> bytes:
    if b"&" not in text:
        return text
    return html.unescape(text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


CARRIERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "UTF-16": _decode_units(16),
    "UTF-32": _decode_units(32),
    "base64": _decode_base64,
    "base32": _decode_base32,
    "hex": _decode_hex,
    "decimal XML": _decode_decimal,
}
ESCAPES: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("URL", unquote_to_bytes),
    ("URL", lambda text: unquote_to_bytes(text.replace(b"+", b" "))),
    ("XML", _unescape_xml),
    ("backslash escapes", lambda text: _unescape_backslash(text, is_byte=True)),
    ("backslash escapes", lambda text: _unescape_backslash(text, is_byte=False)),
)
