"""Each stack has the checksums of its own providers, and no others."""

import json
from pathlib import Path

import pytest

from bakery.infra.mirror import AWS, AWS_VERSION
from bakery_stacks import locks

ROOT = Path(__file__).parents[3]
LOCKS = ("cdktf", "examples/consumer", "modules/image")


def block(address: str) -> str:
    return f'provider "{address}" {{\n  version = "1.0.0"\n  hashes = [\n    "h1:{address}=",\n  ]\n}}\n'


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    lock = tmp_path / "committed.hcl"
    addresses = (AWS, "registry.terraform.io/vmware/vsphere", "example.org/ours/thing")
    lock.write_text("# words\n\n" + "\n".join(map(block, addresses)))
    return lock


def write_stack(output: Path, *sources: str) -> Path:
    """A synthesized stack that asks for providers; where its lock file would be."""
    folder = output / "stacks" / "one"
    folder.mkdir(parents=True, exist_ok=True)
    providers = {source.rpartition("/")[2]: {"source": source, "version": "1.0.0"} for source in sources}
    (folder / "cdk.tf.json").write_text(json.dumps({"terraform": {"required_providers": providers}}))
    return folder / locks.NAME


@pytest.mark.parametrize(
    ("sources", "addresses"),
    [
        (["aws"], [AWS]),
        (["hashicorp/aws"], [AWS]),
        (["vmware/vsphere", "aws"], [AWS, "registry.terraform.io/vmware/vsphere"]),
        (["example.org/ours/thing"], ["example.org/ours/thing"]),
        ([], []),
    ],
)
def test_a_stack_has_the_locks_of_its_providers(
    committed: Path, tmp_path: Path, sources: list[str], addresses: list[str]
) -> None:
    lock = write_stack(tmp_path, *sources)
    locks.write_locks(tmp_path, committed)
    assert lock.read_text() == "\n".join(map(block, addresses))


def test_a_stack_with_a_provider_that_is_not_locked_has_no_lock_file(committed: Path, tmp_path: Path) -> None:
    lock = write_stack(tmp_path, "aws", "hashicorp/azurerm")
    lock.write_text("of an earlier run")
    locks.write_locks(tmp_path, committed)
    assert not lock.exists()


@pytest.mark.parametrize("folder", LOCKS)
def test_the_committed_locks_are_of_the_provider_that_the_bindings_were_made_from(folder: str) -> None:
    text = (ROOT / folder / locks.NAME).read_text()
    [(address, locked)] = [(found[1], found[0]) for found in locks.BLOCK.finditer(text)]
    assert address == AWS
    assert f'version     = "{AWS_VERSION}"' in locked
    assert '"h1:' in locked
    assert "://" not in text
