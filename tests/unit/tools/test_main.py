"""The whole of set-up from the outside: exit codes, one clear message, and what stops what."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tools import __main__ as command
from tools import environment, pins
from tools.progress import Progress, SetupError

ROOT = Path(__file__).resolve().parents[3]


def test_a_failure_is_one_message_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_progress: Progress) -> None:
        raise SetupError("packages are missing", "run apt")

    monkeypatch.setattr(command, "STATE", tmp_path)
    monkeypatch.setattr(command, "set_up", fail)
    assert command.main([]) == 1
    assert capsys.readouterr().err == "error: packages are missing\nhint: run apt\n"


def test_checkov_is_installed_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed: list[str] = []
    monkeypatch.setattr(command, "STATE", tmp_path)
    monkeypatch.setattr(command, "set_up", lambda _: installed.append("all"))
    monkeypatch.setattr(environment, "install_checkov", lambda *_: installed.append("checkov"))
    assert command.main(["checkov"]) == 0
    assert command.main([]) == 0
    assert installed == ["checkov", "all"]


def test_an_interrupt_exits_with_130(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_progress: Progress) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "STATE", tmp_path)
    monkeypatch.setattr(command, "set_up", interrupt)
    assert command.main([]) == 130
    assert "finished parts are kept" in capsys.readouterr().err


def test_the_first_failure_stops_what_runs_beside_it(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    started = threading.Event()

    def slow() -> None:
        started.set()
        progress.run("slow", "sleeping", ["sleep", "60"])

    def fails() -> None:
        started.wait(5)
        raise SetupError("broken")

    with pytest.raises(SetupError, match="broken"):
        command.side_by_side([slow, fails], progress)


def test_a_program_that_ignores_the_request_to_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.progress.GRACE_S", 0.05)
    progress = Progress(tmp_path)
    log = tmp_path / "setup-deaf.log"

    def deaf() -> None:
        progress.run("deaf", "ignoring", ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"])

    def fails() -> None:
        while not (log.exists() and log.read_text()):
            pass
        raise SetupError("broken")

    with pytest.raises(SetupError, match="broken"):
        command.side_by_side([deaf, fails], progress)


def test_a_heartbeat_shows_that_a_silent_program_still_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tools.progress.HEARTBEAT_S", 0.01)
    Progress(tmp_path).run("forge", "building", ["sleep", "0.05"])
    assert "forge: still building" in capsys.readouterr().out


def test_every_pinned_tool_is_complete() -> None:
    tools = pins.load()
    assert {"packer", "terraform", "vault"} <= {tool.name for tool in tools}
    for tool in tools:
        if tool.module:
            required = re.search(rf"require (\S+) v{tool.version}\n", (tool.source / "go.mod").read_text())
            assert required
            assert f"{tool.module}/".startswith(f"{required[1]}/")
        assert tool.version in tool.release.url
        assert tool.release.sha256 or tool.release.sums
    names = [tool.name for tool in tools]
    assert all(names.index("packer") < names.index(tool.name) for tool in tools if tool.plugin)


def test_few_releases_are_taken_by_the_word_of_their_own_page() -> None:
    """The file of checksums lies beside the release: who replaces one replaces both. No tool is added to these."""
    unknown = {tool.name for tool in pins.load() if not tool.release.sha256}
    plugins = {f"packer-plugin-{name}" for name in ("amazon", "ansible", "azure", "qemu", "vsphere")}
    assert unknown == plugins | {"syft", "grype"}


def test_templates_take_the_versions_of_plugins_that_set_up_takes() -> None:
    texts = [path.read_text() for path in (ROOT / "packer" / "templates").rglob("*.pkr.hcl")]
    required = {plugin for text in texts for plugin in re.findall(r'source\s*= "(.+)"\s+version\s*= "(.+)"', text)}
    assert required == {(tool.plugin, tool.accepted) for tool in pins.load() if tool.plugin}


def test_the_locks_name_no_registry_and_hash_everything() -> None:
    python = (ROOT / "requirements.lock").read_text()
    assert "://" not in python
    blocks = [line for line in python.replace("\\\n", " ").splitlines() if not line.startswith("#")]
    assert all("--hash=" in block for block in blocks)
    assert '"resolved"' not in (ROOT / "package-lock.json").read_text()


@pytest.mark.parametrize("target", ["setup", "demo", "test", "bench", "clean"])
def test_make_explains_its_targets(target: str) -> None:
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"make {target} " in shown


def test_an_old_python_is_told_so(tmp_path: Path) -> None:
    """A Python that calls itself 3.10: the check must come before any newer syntax or module."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.version_info = (3, 10, 4, 'final', 0)\n")
    answer = subprocess.run(
        [sys.executable, "-m", "tools"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: Python 3.11 or newer is needed")
    assert "Traceback" not in answer.stderr
