"""How programs write a text, by other code than that which looks for secrets: each takes and gives bytes."""

import base64
import html
import json
import re
import shlex
import textwrap
from collections.abc import Callable
from urllib.parse import quote, quote_plus

Encoder = Callable[[bytes], bytes]


def _of_text(encode: Callable[[str], str | bytes]) -> Encoder:
    def apply(text: bytes) -> bytes:
        encoded = encode(text.decode())
        return encoded if isinstance(encoded, bytes) else encoded.encode()

    return apply


def _escape_for_go(text: str) -> str:
    return re.sub("[&<>]", lambda found: rf"\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def _escape_all(text: str, form: str) -> str:
    return "".join(letter if re.match("[A-Za-z0-9]", letter) else form.format(ord(letter)) for letter in text)


def _wrap(text: bytes, width: int, end: str) -> bytes:
    return end.join(textwrap.wrap(text.decode(), width)).encode()


# Change every character.
CARRIERS: dict[str, Encoder] = {
    "UTF-16LE": _of_text(lambda text: text.encode("utf-16-le")),
    "UTF-16BE": _of_text(lambda text: text.encode("utf-16-be")),
    "UTF-32LE": _of_text(lambda text: text.encode("utf-32-le")),
    "UTF-32BE": _of_text(lambda text: text.encode("utf-32-be")),
    "base64": base64.b64encode,
    "base64 for URLs": base64.urlsafe_b64encode,
    "base64 of more": lambda text: base64.b64encode(b"user:" + text + b"@host"),
    "base64 in lines": lambda text: _wrap(base64.b64encode(text), 64, "\n"),
    "base32": base64.b32encode,
    "hex": lambda text: text.hex().encode(),
    "upper hex": lambda text: text.hex().upper().encode(),
    "hex with colons": lambda text: text.hex(":").encode(),
    "hex with spaces": lambda text: text.hex(" ").upper().encode(),
}
# Leave letters and digits.
ESCAPES: dict[str, Encoder] = {
    "JSON": _of_text(json.dumps),
    "JSON in UTF-8": _of_text(lambda text: json.dumps(text, ensure_ascii=False)),
    "JSON of PHP": _of_text(lambda text: json.dumps(text).replace("/", r"\/")),
    "JSON of Go": _of_text(_escape_for_go),
    "URL": _of_text(lambda text: quote(text, safe="")),
    "URL with slashes": _of_text(quote),
    "URL in lower case": _of_text(lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe=""))),
    "form": _of_text(quote_plus),
    "XML": _of_text(html.escape),
    "XML in decimal": _of_text(lambda text: _escape_all(text, "&#{};")),
    "XML in hex": _of_text(lambda text: _escape_all(text, "&#x{:X};")),
    "shell": _of_text(shlex.quote),
    "shell with backslashes": _of_text(lambda text: re.sub(r"([^\w])", r"\\\1", text)),
    "shell in double quotes": _of_text(lambda text: '"' + re.sub(r'(["\\$`])', r"\\\1", text) + '"'),
    "SQL": _of_text(lambda text: "'" + text.replace("'", "''") + "'"),
    "SQL of MySQL": _of_text(lambda text: "'" + re.sub(r"(['\"\\])", r"\\\1", text) + "'"),
    "CSV": _of_text(lambda text: '"' + text.replace('"', '""') + '"'),
    "Python": _of_text(repr),
    "Python bytes": lambda text: repr(text).encode(),
}
# Searched for as the only encoding: short lines, and marks before each number.
ONCE: dict[str, Encoder] = {
    "base64 in lines of 20": lambda text: _wrap(base64.b64encode(text), 20, "\n"),
    "base64 in lines of 13, indented": lambda text: _wrap(base64.b64encode(text), 13, "\r\n    "),
    "URL of every byte": lambda text: "".join(f"%{byte:02X}" for byte in text).encode(),
    "C array": lambda text: ", ".join(f"0x{byte:02x}" for byte in text).encode(),
    "C text": lambda text: "".join(rf"\x{byte:02x}" for byte in text).encode(),
    "lower base32": lambda text: base64.b32encode(text).lower(),
}
ALL: dict[str, Encoder] = {"plain text": bytes, **CARRIERS, **ESCAPES, **ONCE}


def is_searched_for(inner: str, outer: str) -> bool:
    """Whether the documentation says that a value in `inner`, encoded once more by `outer`, is found."""
    if inner in ONCE or outer in ONCE:
        return False
    # What takes text takes no UTF-16 and no UTF-32.
    return not (inner.startswith("UTF") and (outer in ESCAPES or outer.startswith("UTF")))
