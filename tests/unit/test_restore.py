"""vault/restore.sh against a Vault that takes its time: tests/integration/test_vault_raft.py restores a real one."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "vault" / "restore.sh"
# Vault 1.21 without an answer: `status` exits with 1, and `operator init`, with -status or without it, with 2.
VAULT = """\
#!/bin/sh
cd "$(dirname "$0")" && echo "$*" >>calls
case "$*" in
"status -format=json") [ "$(grep -c ^status calls)" -gt 2 ] || exit 1; echo '{"initialized": false}'; exit 2 ;;
"operator init -status") exit 2 ;;
"operator init"*) [ ! -e broken ] || { echo refused >&2; exit 2; }; echo '{"root_token": "first"}' ;;
"operator raft list-peers") echo "one leader true" ;;
"token lookup") echo "Code: 403" ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vault").write_text(VAULT)
    (tmp_path / "vault").chmod(0o755)
    return tmp_path


def restore(folder: Path) -> "subprocess.CompletedProcess[str]":
    env = {"PATH": f"{folder}:/usr/bin:/bin", "VAULT_ADDR": "https://vault.example.com"}
    return subprocess.run([SCRIPT, "snapshot"], env=env, capture_output=True, text=True, timeout=20)


def test_a_server_that_does_not_answer_yet_is_waited_for(folder: Path) -> None:
    assert restore(folder).stdout.startswith("restored: ")
    calls = (folder / "calls").read_text().splitlines()
    assert calls.count("status -format=json") == 3
    assert [call for call in calls if call.startswith("operator init")] == [
        "operator init -recovery-shares=1 -recovery-threshold=1 -format=json"
    ]


def test_a_server_that_takes_no_data_ends_it_at_once(folder: Path) -> None:
    (folder / "broken").touch()
    done = restore(folder)
    assert (done.returncode, done.stderr) == (2, "refused\n")
