"""`bakery keys`: another machine can trust what was signed here."""

import shutil
from pathlib import Path

import pytest

from bakery.signing.keyring import TRUSTED_KEYS
from unit.bakery.cli.cli_runner import CliRunner


def test_nothing_is_trusted_before_something_was_signed(bakery: CliRunner) -> None:
    answer = bakery("keys")
    assert (answer.code, '"keys": []' in answer.out) == (0, True)


def test_a_disk_that_was_baked_elsewhere(bakery: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workspace that publishes has another key than the one that baked and tested."""
    for verb in ("bake", "verify"):
        assert bakery(verb, "base").code == 0
    (tmp_path / "keys.json").write_text(bakery("keys").out)
    shutil.rmtree(bakery.project.keys)
    answer = bakery("publish", "base")
    assert (answer.code, "'bake-private' or 'bake-public' or 'publish' signed it" in answer.err) == (1, True)
    monkeypatch.setenv(TRUSTED_KEYS, str(tmp_path / "keys.json"))
    answer = bakery("publish", "base")
    assert (answer.code, "this key may not sign" in answer.err) == (64, True), "readers would refuse what it publishes"
    with monkeypatch.context() as alone:
        alone.delenv(TRUSTED_KEYS)
        (tmp_path / "own.json").write_text(bakery("keys").out)
    monkeypatch.setenv(TRUSTED_KEYS, f"{tmp_path / 'keys.json'}:{tmp_path / 'own.json'}")
    assert bakery("publish", "base").code == 0
    assert bakery.states("base") == {"1.0.0": "complete"}
