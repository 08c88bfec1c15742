"""The stacks beside AWS, read by Terraform and their providers where a mirror has those."""

import json
import os
from pathlib import Path

import pytest

from bakery.catalog import Catalog, open_store
from bakery.infra import mirror
from bakery.signing import Keyring
from bakery_stacks import channel_images, config
from bakery_stacks.locks import required_providers
from bakery_stacks.program import build_app, synth
from integration.published_images import ROOT, project, validate

pytestmark = pytest.mark.integration

STACKS = ("vsphere", "azure", "vault-config")


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stacks of production.yaml."""
    folder = tmp_path_factory.mktemp("elsewhere")
    settings = config.load_settings(ROOT / "cdktf" / "environments", {"BAKERY_ENVIRONMENT": "production"})
    catalog = Catalog(open_store(str(folder / "catalog")), Keyring(folder / "keys", {}))
    images = channel_images.read_channel_images(catalog, settings.environment)
    synth(build_app(settings, images, folder / "out"))
    return folder / "out" / "stacks"


def missing_providers(stack: Path, folder: Path | None) -> set[str]:
    """Those that a synthesized stack asks for and a mirror lacks; all of them without a mirror."""
    needed = required_providers(json.loads((stack / "cdk.tf.json").read_bytes()))
    return needed - set(mirror.mirror_providers(folder) if folder else [])


@pytest.mark.parametrize("stack", STACKS)
def test_the_provider_takes_the_stack(output: Path, stack: str, tmp_path: Path) -> None:
    if missing := missing_providers(output / stack, mirror.named_mirror(os.environ)):
        pytest.skip(
            f"no mirror holds {', '.join(sorted(missing))}: fill a folder with 'terraform providers mirror',"
            f" and name it in {mirror.VARIABLE}"
        )
    validate(output / stack, project(tmp_path))


@pytest.mark.parametrize(
    ("stack", "provider"),
    [("vsphere", "vmware/vsphere"), ("azure", "hashicorp/azurerm"), ("vault-config", "hashicorp/vault")],
)
def test_a_mirror_with_the_provider_ends_the_skip(output: Path, stack: str, provider: str, tmp_path: Path) -> None:
    assert missing_providers(output / stack, None) == {f"registry.terraform.io/{provider}"}
    (tmp_path / "registry.terraform.io" / "other" / provider.partition("/")[2]).mkdir(parents=True)
    assert missing_providers(output / stack, tmp_path) == {f"registry.terraform.io/{provider}"}
    (tmp_path / "registry.terraform.io" / provider).mkdir(parents=True)
    assert missing_providers(output / stack, tmp_path) == set()
