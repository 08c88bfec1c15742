"""The stacks beside AWS, read by Terraform and their providers where a mirror has those."""

from pathlib import Path

import pytest

from bakery.catalog import Catalog, open_store
from bakery.infra import mirror
from bakery_stacks import channel_images, config
from bakery_stacks.program import build_app
from integration.shelf import ROOT, project, validate

pytestmark = pytest.mark.integration

PROVIDERS = {"vsphere": "hashicorp/vsphere", "azure": "hashicorp/azurerm", "vault-config": "hashicorp/vault"}


@pytest.mark.parametrize("stack", PROVIDERS)
def test_the_provider_takes_the_stack(stack: str, tmp_path: Path) -> None:
    folder = mirror.find({})
    if not folder or f"{mirror.REGISTRY}/{PROVIDERS[stack]}" not in mirror.providers(folder):
        pytest.skip(
            f"no mirror holds {PROVIDERS[stack]}: fill one with 'terraform providers mirror' ({mirror.VARIABLE})"
        )
    settings = config.load_settings(ROOT / "cdktf" / "environments", {"BAKERY_ENVIRONMENT": "production"})
    images = channel_images.read_channel_images(Catalog(open_store(str(tmp_path / "catalog"))), settings.environment)
    build_app(settings, images, tmp_path / "out").synth()
    validate(tmp_path / "out" / "stacks" / stack, project(tmp_path))
