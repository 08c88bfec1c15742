"""Kinds of text: what is taken, and what is said of the rest."""

from importlib import import_module

import pytest
from pydantic import TypeAdapter, ValidationError

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


@pytest.mark.parametrize("text", ["12345678901", "1234567890123", "123456789012\n", "x123456789012", ""])
def test_the_whole_text_has_to_be_of_the_form(text: str) -> None:
    account: TypeAdapter[str] = TypeAdapter(Account)
    assert account.validate_python("123456789012")
    with pytest.raises(ValidationError, match="must be the twelve digits of an AWS account"):
        account.validate_python(text)


def test_the_schema_has_the_pattern_for_editors() -> None:
    account: TypeAdapter[str] = TypeAdapter(Account)
    assert account.json_schema() == {"type": "string", "pattern": "^[0-9]{12}$"}
