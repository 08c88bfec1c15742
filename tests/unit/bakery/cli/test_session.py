"""A session's workspace is its user's."""

import stat

from unit.bakery.cli.cli_runner import CliRunner


def test_a_run_closes_the_workspace_to_other_users(bakery: CliRunner) -> None:
    bakery.project.workspace.mkdir(mode=0o755, exist_ok=True)
    bakery.project.workspace.chmod(0o755)
    assert bakery("run", "base").code == 0
    assert stat.S_IMODE(bakery.project.workspace.stat().st_mode) == 0o700
