"""Literal pieces of a secret value: at least one of them stands unchanged in every form that is searched for."""

import base64
import html
import json
import re
import shlex
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import quote, quote_plus

RUN = 4  # letters or digits in a row that make a piece; shorter ones occur everywhere
LONG_RUN = 8  # letters or digits; with fewer, pieces of the whole value are looked for as well
WINDOW = 10  # letters of a run; longer pieces find no more, and a text editor may break them
LONG = 16  # characters of base64, base32 or hex; pieces of longer texts come from the middle
SHORTEST = 4  # bytes of a piece
HALF = {"base32": 6, "hex": 6}  # bytes of each half of a piece; fewer occur everywhere

# Between the bytes of a value in hex: none, of certificates, of dumps, URLs and C, JSON, lists in Go and Python, XML.
SEPARATORS = (
    *("", ":", " ", "-", "%", r"\x", r"\u00", ", 0x", ",0x", " 0x", ";&#x"),
    *("%3A", "%20", "+", "&#58;", "&#x3A;", "&#32;", "&#x20;", r"\:", r"\ "),  # a colon or a space, escaped
)
ANY_CASE = ("hex", "base32")  # searched for in both cases
INNER_SEPARATORS = ("", ":", " ")  # of hex that is encoded once more


class Piece(NamedTuple):
    """A literal, and the encodings that hide the value behind it, outermost first. Hex has letters of any case."""

    text: bytes
    path: tuple[str, ...]


def list_pieces(value: str) -> list[Piece]:
    """All pieces of one value."""
    pieces: set[Piece] = set()
    run = longest_run(value)
    start = max(0, (len(run) - WINDOW) // 2)
    whole, part = _middle_of(value).encode(), run[start : start + WINDOW].encode()
    if len(part) >= RUN:
        pieces.add(Piece(part, ()))
    else:
        once = {escape(value) for escape in ESCAPES}
        pieces.update(Piece(escape(text)[:WINDOW].encode(), ()) for escape in ESCAPES for text in once)
    if len(part) < LONG_RUN:  # too short for two pieces, of which a line break leaves one
        for text in {escape(value) for escape in ESCAPES}:
            pieces.update(_hide_text(_middle_of(text).encode()))
    for source in {whole, part} if len(part) < LONG_RUN else {part}:
        pieces.update(_hide_text(source))
        for inner, encode in CARRIERS.items():
            for hidden in encode(source, INNER_SEPARATORS):
                pieces.update(Piece(text, (*path, inner)) for text, path in _hide_text(hidden, INNER_SEPARATORS))
    return sorted(piece for piece in pieces if len(piece.text) >= SHORTEST)


def _middle_of(text: str) -> str:
    middle = max(0, len(text) // 2 - WINDOW)
    return text[middle : middle + 2 * WINDOW]


def _hide_text(source: bytes, separators: tuple[str, ...] = SEPARATORS) -> Iterator[Piece]:
    """Pieces of a text after each encoding that changes every character."""
    for name, encode in CARRIERS.items():
        for text in encode(source, separators):
            # Most of UTF-32 is zeros.
            for piece in _split_text(name, text, LONG if b"\0\0" not in source else 4 * LONG):
                yield Piece(piece.lower() if name in ANY_CASE else piece, (name,))


def longest_run(value: str) -> str:
    """The letters and digits in a row that are least likely to be a word."""
    runs = re.findall(r"[A-Za-z0-9]+", value)
    return max(runs, key=_rarity, default="")


def _rarity(run: str) -> int:
    kinds = sum(any(test(letter) for letter in run) for test in (str.isdigit, str.isupper, str.islower))
    return min(len(run), WINDOW) + 2 * kinds


def _split_text(name: str, text: bytes, size: int) -> Iterator[bytes]:
    """Two adjacent halves: these encodings are often broken into lines, and a break falls into one of them at most."""
    if name.startswith("UTF"):
        yield text
        return
    middle = len(text) // 2
    text = text[max(0, middle - size // 2) : middle + size // 2]
    if len(text) < 2 * HALF.get(name, SHORTEST):
        yield text
        return
    yield text[: len(text) // 2]
    yield text[len(text) // 2 :]


def _encode_utf16(text: bytes, _: tuple[str, ...]) -> Iterator[bytes]:
    """Both byte orders: the bytes between the first and the last letter are the same."""
    yield from (_join_units(text, order) for order in ("utf-16-le", "utf-16-be"))


def _encode_utf32(text: bytes, _: tuple[str, ...]) -> Iterator[bytes]:
    yield from (_join_units(text, order) for order in ("utf-32-le", "utf-32-be"))


def _join_units(text: bytes, order: str) -> bytes:
    return text.decode(errors="ignore").encode(order)


def _encode_base64(text: bytes, _: tuple[str, ...]) -> Iterator[bytes]:
    """At each of the three positions in a group, without characters that depend on the bytes around the text."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + text)
        inner = encoded[-(-before * 8 // 6) : (before + len(text)) * 8 // 6]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def _encode_base32(text: bytes, _: tuple[str, ...]) -> Iterator[bytes]:
    for before in range(5):
        encoded = base64.b32encode(bytes(before) + text)
        inner = encoded[-(-before * 8 // 5) : (before + len(text)) * 8 // 5]
        yield inner


def _encode_hex(text: bytes, separators: tuple[str, ...]) -> Iterator[bytes]:
    for separator in separators:
        for digits in (text.hex(), text.hex().upper()):
            pairs = (digits[at : at + 2] for at in range(0, len(digits), 2))
            yield separator.join(pairs).encode()


def _encode_decimal(text: bytes, _: tuple[str, ...]) -> Iterator[bytes]:
    yield ";&#".join(str(ord(letter)) for letter in text.decode(errors="ignore")).encode()


# Encodings that change every character of a value.
CARRIERS: dict[str, Callable[[bytes, tuple[str, ...]], Iterator[bytes]]] = {
    "UTF-16": _encode_utf16,
    "UTF-32": _encode_utf32,
    "base64": _encode_base64,
    "base32": _encode_base32,
    "hex": _encode_hex,
    "decimal XML": _encode_decimal,
}


def _escape_for_go(value: str) -> str:
    escaped = json.dumps(value, ensure_ascii=False)[1:-1]
    return "".join(rf"\u{ord(letter):04x}" if letter in "&<>" else letter for letter in escaped)


def _escape_xml(value: str, form: str) -> str:
    return "".join(letter if re.match("[A-Za-z0-9]", letter) else f"&#{ord(letter):{form}};" for letter in value)


def _lower_hex(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), text)


# Encodings that leave letters and digits as they are. Only values that have no four of them in a row need these.
ESCAPES: tuple[Callable[[str], str], ...] = (
    str,
    lambda value: json.dumps(value)[1:-1],
    lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    lambda value: json.dumps(value).replace("/", r"\/")[1:-1],
    _escape_for_go,
    lambda value: quote(value, safe=""),
    quote,
    lambda value: _lower_hex(quote(value, safe="")),
    quote_plus,
    html.escape,
    lambda value: html.escape(value, quote=False),
    lambda value: _escape_xml(value, "d"),
    lambda value: _escape_xml(value, "x").replace("&#", "&#x"),
    lambda value: _escape_xml(value, "X").replace("&#", "&#x"),
    lambda value: shlex.quote(value)[1:-1],
    lambda value: re.sub(r"([^\w])", r"\\\1", value),
    lambda value: value.replace("'", "''"),
    lambda value: value.replace('"', '""'),
    lambda value: repr(value)[1:-1],
    lambda value: repr(value.encode())[2:-1],
    lambda value: re.sub(r"(['\"\\$`])", r"\\\1", value),
    lambda value: re.sub(r"(['\"\\])", r"\\\1", value),
    lambda value: re.sub(r'(["\\$`])', r"\\\1", value),
)
