"""The settings that name keys."""

from pathlib import Path

import pytest

from bakery.host.errors import UsageError
from bakery.signing.keyring import SIGNING_KEY, TRUSTED_KEYS, Keyring


@pytest.mark.parametrize("name", [SIGNING_KEY, TRUSTED_KEYS])
@pytest.mark.parametrize(
    "setting", ["vault:", "vault:/transit", "vault:transit/", "vault:a//b", "vault:a b", "vault:x?"]
)
def test_a_setting_without_a_mount_is_named(tmp_path: Path, name: str, setting: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is '{setting.replace('?', '[?]')}', which names no mount") as caught:
        Keyring(tmp_path, {name: setting})
    assert caught.value.hint.endswith("as in vault:transit")


def test_a_mount_below_others_is_right(tmp_path: Path) -> None:
    assert Keyring(tmp_path, {SIGNING_KEY: "vault:teams/a_b-1"}).keys_path == "teams/a_b-1/keys"
