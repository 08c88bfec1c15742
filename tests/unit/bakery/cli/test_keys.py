"""`bakery keys`: another machine can trust what was signed here."""

import shutil
from pathlib import Path

import pytest

from bakery.signing.keyring import SIGNING_KEY, TRUSTED_KEYS
from unit.bakery.cli.cli_runner import CliRunner


def test_a_new_workspace_makes_its_key(bakery: CliRunner) -> None:
    """Another one can trust it before anything is signed."""
    first = bakery("keys")
    assert (first.code, first.out.count('"public"')) == (0, 4)
    assert bakery("keys").out == first.out


def test_a_named_key_has_to_be_there(bakery: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip in the setting must not look like a workspace that trusts nobody."""
    monkeypatch.setenv(SIGNING_KEY, "vaul:transit")
    answer = bakery("keys")
    assert (answer.code, answer.out) == (1, "")
    assert "vaul:transit: the signing key cannot be read: No such file" in answer.err
    assert not bakery.project.keys.exists()


def test_a_disk_that_was_baked_elsewhere(bakery: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workspace that publishes has another key than the one that baked and tested."""
    for verb in ("bake", "verify"):
        assert bakery(verb, "base").code == 0
    (tmp_path / "keys.json").write_text(bakery("keys").out)
    shutil.rmtree(bakery.project.keys)
    answer = bakery("publish", "base")
    assert (answer.code, "duty bake-private or bake-public or publish" in answer.err) == (1, True)
    monkeypatch.setenv(TRUSTED_KEYS, str(tmp_path / "keys.json"))
    answer = bakery("publish", "base")
    assert (answer.code, "this key may not sign" in answer.err) == (64, True), "readers would refuse what it publishes"
    with monkeypatch.context() as alone:
        alone.delenv(TRUSTED_KEYS)
        (tmp_path / "own.json").write_text(bakery("keys").out)
    monkeypatch.setenv(TRUSTED_KEYS, f"{tmp_path / 'keys.json'}:{tmp_path / 'own.json'}")
    assert bakery("publish", "base").code == 0
    assert bakery.states("base") == {"1.0.0": "complete"}
