"""Kinds of text: what is taken, and what is said of the rest."""

from importlib import import_module
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from bakery.clouds import CLOUDS
from bakery.clouds.aws.settings import Account
from bakery.model import fields
from bakery.model.fields import TextFormat

FORMS = {
    f"{module.__name__}.{name}": form
    for module in (fields, *(import_module(f"bakery.clouds.{name}.settings") for name in CLOUDS if name != "local"))
    for name, kind in vars(module).items()
    for form in getattr(kind, "__metadata__", ())
    if isinstance(form, TextFormat)
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_example_that_a_hint_gives_is_right(form: TextFormat) -> None:
    assert form.check(form.example) == form.example


def test_a_text_that_only_has_to_be_small_is_its_own_example() -> None:
    form = TextFormat("^[a-z]+(-[0-9])?$", "small letters", "web")
    for text, example in {"Stable": "stable", "EU-1": "eu-1", "Sta ble": "web", "": "web"}.items():
        with pytest.raises(PydanticCustomError) as caught:
            form.check(text)
        assert caught.value.context == {"words": "small letters", "example": example}


@pytest.mark.parametrize("kind", [fields.Url, fields.HttpsUrl])
@pytest.mark.parametrize(
    "address", ["https://user:canary@h/x", "https://user:canary@h/x y", "HTTPS://user:canary@h/x", "user:canary@h"]
)
def test_no_error_repeats_a_login(kind: Any, address: str) -> None:
    adapter: TypeAdapter[str] = TypeAdapter(kind)
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(address)
    [problem] = caught.value.errors()
    assert problem["type"] == "field_error", "whose message does not show the value"
    assert "canary" not in f"{problem['msg']} {problem['ctx']}"


@pytest.mark.parametrize("text", ["12345678901", "1234567890123", "123456789012\n", "x123456789012", ""])
def test_the_whole_text_has_to_be_of_the_form(text: str) -> None:
    account: TypeAdapter[str] = TypeAdapter(Account)
    assert account.validate_python("123456789012")
    with pytest.raises(ValidationError, match="must be the twelve digits of an AWS account"):
        account.validate_python(text)


def test_the_schema_has_the_pattern_for_editors() -> None:
    account: TypeAdapter[str] = TypeAdapter(Account)
    assert account.json_schema() == {"type": "string", "pattern": "^[0-9]{12}$"}
