"""Names that every target uses."""

from bakery.model.naming import Named, full_name


def test_names_carry_the_version() -> None:
    assert full_name(Named("web", "x86_64", "1.0.3")) == "web-1.0.3-x86_64"
