"""Names that every target uses."""

from bakery.model.naming import full_name
from bakery.model.version import ImageVersion


def test_names_carry_the_version() -> None:
    assert full_name(ImageVersion("web", "x86_64", "1.0.3")) == "web-1.0.3-x86_64"
