import base64
import json

import pytest

from bakery.host.redaction import REDACTED, Redactor
from encoders import ALL, CARRIERS

SECRET = "a&b<c>d\"e'f$g h/i+j9k2M"
TEXT = sorted(name for name in ALL if not name.startswith("UTF"))


def redact(text: str, *secrets: str) -> str:
    return Redactor(secrets or (SECRET,))(text)


@pytest.mark.parametrize("name", TEXT)
def test_every_form_is_replaced(name: str) -> None:
    encoded = ALL[name](SECRET.encode()).decode()
    plain = redact(f"[start] {encoded} [end]")
    assert REDACTED in plain
    assert plain.startswith("[start] ")
    assert plain.endswith(" [end]")
    # An encoding of groups of bytes keeps a few characters at the ends, which hold only a part of one byte each.
    kept = plain.removeprefix("[start] ").removesuffix(" [end]").replace(REDACTED, "")
    assert len(kept) <= (12 if name in CARRIERS or "base" in name else 3)


@pytest.mark.parametrize("name", ["repr of JSON", "basic", "nested JSON"])
def test_forms_within_forms_are_replaced(name: str) -> None:
    text = {
        "repr of JSON": repr(json.dumps({"password": SECRET})),
        "basic": "Authorization: Basic " + base64.b64encode(f"admin:{SECRET}".encode()).decode(),
        "nested JSON": json.dumps(json.dumps({"body": json.dumps(SECRET)})),
    }[name]
    plain = redact(text)
    assert REDACTED in plain
    assert "j9k2M" not in plain
    assert base64.b64encode(SECRET.encode()).decode()[4:-4] not in plain


def test_several_values_in_a_line_are_replaced() -> None:
    other = "other-Secret-7f"
    line = f"one {SECRET} two {base64.b64encode(other.encode()).decode()} three {other} four"
    assert redact(line, SECRET, other) == f"one {REDACTED} two {REDACTED} three {REDACTED} four"


@pytest.mark.parametrize(
    "text", ["", "nothing here\n", "j9k2M alone is a part of it", base64.b64encode(b"something else" * 9).decode()]
)
def test_other_text_stays(text: str) -> None:
    assert redact(text) == text


def test_a_short_value_is_replaced_as_it_is() -> None:
    assert redact("pin 4711, and again 4711", "4711") == f"pin {REDACTED}, and again {REDACTED}"


def test_a_redactor_without_values_changes_nothing() -> None:
    assert Redactor(["", "\n"])("any text") == "any text"
