from pathlib import Path

import pytest

from bakery.machine import ssh
from doubles.programs import Programs


def test_a_key_has_no_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = Programs(tmp_path / "bin", monkeypatch)
    programs.python("ssh-keygen", "assert sys.argv[sys.argv.index('-N') + 1] == ''")
    assert ssh.make_key(tmp_path) == tmp_path / "key"
    assert "-t ed25519" in programs.calls("ssh-keygen")[0]
