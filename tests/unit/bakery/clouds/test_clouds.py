"""What holds of every cloud, also of one that is still to come."""

import sys
import tomllib
from pathlib import Path

import pytest

from bakery.clouds import BUILDERS, CLOUDS, REMOTE
from bakery.clouds.cloud import Cloud
from bakery.host import process
from bakery.host.errors import BakeryError

ROOT = Path(__file__).parents[4]
SDKS = ("azure", "boto3", "botocore", "requests")

each = pytest.mark.parametrize("cloud", CLOUDS.values(), ids=CLOUDS)


def test_all_of_them_are_cheap_to_import() -> None:
    code = f"import bakery.clouds.definitions, sys; print([sdk for sdk in {SDKS} if sdk in sys.modules])"
    assert process.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT / "scripts")}).stdout == "[]\n"


def test_keys_are_names() -> None:
    assert [cloud.name for cloud in CLOUDS.values()] == list(CLOUDS)
    assert len(BUILDERS) == len(CLOUDS), "two clouds have builders of one name"


def test_a_builder_at_a_target_is_called_like_it() -> None:
    """`base.<name>` and `distribution.<name>` are then of one cloud."""
    assert {name: CLOUDS[name].builder for name in REMOTE} == REMOTE


@each
def test_its_plugin_and_its_template_are_there(cloud: Cloud) -> None:
    assert cloud.builder.plugin in tomllib.loads((ROOT / "tools" / "tools.toml").read_text())
    assert list((ROOT / "packer" / "templates" / cloud.builder.name).glob("*.pkr.hcl"))


@each
def test_credentials_are_asked_for_where_a_definition_names_them(cloud: Cloud) -> None:
    fields = cloud.distribution.model_fields if cloud.distribution else {}
    assert bool(cloud.credentials) == ("credentials" in fields)


@pytest.mark.parametrize(("cloud", "field"), [(name, field) for name in REMOTE for field in CLOUDS[name].credentials])
def test_a_login_needs_every_field(cloud: str, field: str) -> None:
    secret = dict.fromkeys(CLOUDS[cloud].credentials, "hidden")
    assert "hidden" in REMOTE[cloud].environment(secret).values()
    del secret[field]
    with pytest.raises(BakeryError, match=f"have no {field}") as caught:
        REMOTE[cloud].environment(secret)
    assert "hidden" not in str(vars(caught.value))
