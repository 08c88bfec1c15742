from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from bakery.host.errors import BakeryError
from bakery.host.vault import Secret, Vault
from bakery.host.vault.secrets import hash_value
from bakery.model.documents import Artifact, Base, Disk, SecretUse
from bakery.verify import read_used_secrets
from doubles.artifacts import artifact_of
from doubles.packer import define

DEFINITION = define(secrets={"password": {"path": "secret/data/web", "key": "password"}})
ARTIFACT = artifact_of(Disk(str(Path("disk.qcow2")), "qcow2", 1, "", "", ""), Base("debian", "", ""))
OLD = "in the old engine"


class RotatingVault:
    """Has another value in each version; the newest is 9."""

    def engines(self) -> dict[str, str]:
        return {"secret/": "kv-v2", "old/": "kv"}

    def read_version(self, path: str, key: str, version: int = 0) -> Secret:
        number = version or 9
        return Secret(OLD, 0) if path.startswith("old/") else Secret(f"value-{number}", number)


def read_values(**secrets: SecretUse) -> list[str]:
    artifact: Artifact = replace(ARTIFACT, secrets=secrets)
    return read_used_secrets(cast(Vault, RotatingVault()), DEFINITION, artifact, lambda name: f"web.yaml:{name}")


def test_the_version_of_the_bake_is_read_and_not_the_newest() -> None:
    assert read_values(password=SecretUse("secret/data/web", "password", 7)) == ["value-7"]


def test_an_artifact_without_versions_gets_the_newest() -> None:
    assert read_values() == ["value-9"]


def test_a_value_of_an_engine_without_versions_is_compared() -> None:
    assert read_values(password=SecretUse("old/web", "password", 0, hash_value(OLD))) == [OLD]
    with pytest.raises(BakeryError, match="old/web is not the one that the bake used") as caught:
        read_values(password=SecretUse("old/web", "password", 0, hash_value("another")))
    assert caught.value.where == "web.yaml:password"
    assert "bake debian-12 again" in caught.value.hint


def test_without_vault_there_are_none() -> None:
    assert read_used_secrets(None, DEFINITION, ARTIFACT, str) == []
