"""The house rules (CONTRIBUTING.md) as tests: what is not checked is not kept."""

import ast
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from doubles.checkout import list_files

ROOT = Path(__file__).parents[2]
BAKERY = ROOT / "scripts" / "bakery"
LONG_LINES = 400  # of a module; a longer one may have two concerns

YAMLLINT = """
extends: default
rules:
  line-length: {max: 140}
  document-start: disable
  comments: {min-spaces-from-content: 1}
  comments-indentation: disable
"""

# Libraries that one part of the package alone may know, by their place below scripts/bakery/.
ONE_DOOR = {
    "multiprocessing": (),
    "pty": (),
    "hvac": ("host/vault/", "demo/stand_ins/vault.py"),
    "requests": ("clouds/vsphere/session.py", "host/vault/", "demo/stand_ins/vault.py"),
    "python_terraform": ("infra/terraform.py",),
    "filelock": ("host/files.py",),
    "rich": ("reports/screen.py",),
    "typer": ("cli/",),
    "boto3": ("clouds/aws/", "catalog/store.py", "demo/"),
    "azure": ("clouds/azure/",),
    "moto": ("demo/stand_ins/aws/",),
    "botocore": ("clouds/aws/", "catalog/store.py", "demo/"),
}

# Who else writes files, and why that need not be atomic.
WRITERS = {
    "host/files.py": "the one door",
    "host/process.py": "logs grow while a program runs",
    "reports/screen.py": "the log of a run grows",
    "layers/bucket.py": "a download in a scratch folder",
    "layers/debian.py": "a disk in a scratch folder",
    "layers/download.py": "a part of a download, to go on with",
    "layers/archive_lists.py": "a signed list, in a scratch folder",
    "contents/apt.py": "apt's configuration, in a scratch folder",
    "contents/archive.py": "an archive in memory",
    "refresh/apt/upgrade.py": "apt's sources, in a scratch folder",
    "refresh/apt/lists.py": "apt's sources, in a scratch folder",
    "refresh/apt/root.py": "apt's configuration, in a scratch folder",
    "refresh/dnf/root.py": "dnf's configuration, in a scratch folder",
    "contents/sbom.py": "settings of syft, in a scratch folder",
    "contents/tree.py": "a copy of a system for syft, in a scratch folder",
    "vulnerabilities/grype.py": "settings of grype, in a scratch folder",
    "machine/filesystem.py": "requests of debugfs, in a scratch folder",
    "machine/free_space.py": "zeros over free blocks of a disk in a scratch folder",
    "machine/guest.py": "what a guest is given, in a scratch folder",
    "clouds/aws/sent_blocks.py": "a log of an upload grows, and half a line does not count",
    "clouds/vsphere/session.py": "a download in a scratch folder",
    "clouds/local/target.py": "a copy of a disk in a scratch folder",
    "machine/qemu.py": "a probe's disk in a scratch folder",
    "machine/saved_boot.py": "the seed of a guest, in a scratch folder",
    "machine/block_stream.py": "a raw disk in a scratch folder",
    "demo/stand_ins/apt.py": "the archive's packages and lists, in the stand-in's own folder",
    "demo/stand_ins/aws/ebs.py": "blocks of snapshots, in the stand-in's own folder",
    "demo/stand_ins/aws/serve.py": "a scratch folder for blocks",
    "demo/stand_ins/aws/state.py": "the stand-in's state, streamed to a part that replaces it",
    "demo/stand_ins/vault.py": "its log holds the root token: nobody else may read it",
    "demo/images.py": "the demo's own copy of the definitions",
    "demo/story.py": "the demo's own copy of the example",
}

# What no file may say, written so that this one does not say it either.
FORBIDDEN = {
    "a host of a package registry": (
        r"pypi\.org|pythonhosted\.org|npmjs\.(org|com)|(proxy|sum)\.golang\.org|yarnpkg\.com|crates\.io|galaxy\.ansible\.com"
    ),
    "a path of one machine": r"(?<![\w.-])/[w]ork/|/tmp/[b]ash_",
}


def run(*command: str | Path, **environment: str) -> None:
    """Run a checker in the project; what it says becomes the failure."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )
    assert done.returncode == 0, f"{command[0]}:\n{done.stdout}{done.stderr}"


def tool(name: str) -> Path:
    """A checker of the virtual environment."""
    return Path(sys.executable).parent / name


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that is or would be in the repository."""
    return tuple(list_files(ROOT))


def python(*folders: str) -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders]


def relative(paths: Iterator[Path] | list[Path]) -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in paths)


class TestCheckers:
    def test_ruff(self) -> None:
        run(tool("ruff"), "check", "--no-cache", ".")

    def test_ruff_format(self) -> None:
        run(tool("ruff"), "format", "--no-cache", "--check", ".")

    def test_mypy(self) -> None:
        run(tool("mypy"))

    def test_import_linter(self) -> None:
        run(tool("lint-imports"), "--no-cache")

    def test_yamllint(self) -> None:
        found = [path for path in tracked() if path.suffix in (".yaml", ".yml")]
        assert found
        run(tool("yamllint"), "--strict", "-d", YAMLLINT, *found)

    def test_ansible_lint(self) -> None:
        # It looks for Ansible on PATH.
        path = f"{tool('ansible-lint').parent}:{os.environ['PATH']}"
        run(tool("ansible-lint"), "--nocolor", "-c", "ansible/.ansible-lint", "ansible", PATH=path)

    def test_shellcheck(self) -> None:
        shebang = re.compile(rb"#!.*\b(ba|da)?sh\b")
        found = [path for path in tracked() if path.suffix == ".sh" or shebang.match(path.read_bytes()[:80])]
        assert found
        run(tool("shellcheck"), *found)

    def test_hadolint(self) -> None:
        found = [path for path in tracked() if path.name == "Dockerfile"]
        assert found
        run(tool("hadolint"), *found)

    def test_terraform_fmt(self) -> None:
        run(installed("terraform"), "fmt", "-check", "-diff", "-recursive", "examples")

    def test_packer_fmt(self) -> None:
        run(installed("packer"), "fmt", "-check", "-diff", "-recursive", "packer", CHECKPOINT_DISABLE="1")


def installed(name: str) -> Path:
    """A tool of the set-up; the test is skipped where it did not run."""
    found = ROOT / ".bakery" / "tools" / "bin" / name
    if not found.exists():
        pytest.skip(f"{name} is not installed: make setup")
    return found


class TestModules:
    def test_long_ones_are_reported(self) -> None:
        """A warning, not a failure: a limit is never met by making code or text worse."""
        lines = {path: len(path.read_text().splitlines()) for path in python("scripts", "cdktf")}
        assert lines
        for name in relative([path for path, count in lines.items() if count > LONG_LINES]):
            warnings.warn(f"{name} has more than {LONG_LINES} lines: does it have one concern?", stacklevel=1)

    def test_say_what_they_are_for(self) -> None:
        modules = {path: ast.parse(path.read_text()) for path in python("scripts", "cdktf")}
        assert relative([path for path, module in modules.items() if not ast.get_docstring(module)]) == []

    def test_folders_that_shadow_packages_are_no_packages(self) -> None:
        folders = ("cdktf", "ansible", "packer", "scripts", "tests")
        inits = {path for path in tracked() if path.name == "__init__.py"}
        assert relative([path for path in inits if path.parent in {ROOT / name for name in folders}]) == []
        assert relative([path for path in inits if path.relative_to(ROOT).parts[0] == "tests"]) == []
        assert not any("constructs" in path.relative_to(ROOT).parts for path in tracked())


class TestOneDoor:
    @pytest.mark.parametrize("library", ONE_DOOR)
    def test_library(self, library: str) -> None:
        users = [path.relative_to(BAKERY).as_posix() for path in package() if library in imports(path)]
        assert [user for user in users if not user.startswith(ONE_DOOR[library] or ("none",))] == []

    def test_programs(self) -> None:
        others = [path for path in package() if path != BAKERY / "host" / "process.py"]
        assert relative([path for path in others if any(map(starts, calls(path)))]) == []
        assert relative([path for path in others if "from subprocess" in path.read_text()]) == []

    def test_files(self) -> None:
        found = {path.relative_to(BAKERY).as_posix() for path in package() if any(map(writes, calls(path)))}
        assert sorted(found - WRITERS.keys()) == []
        assert sorted(WRITERS.keys() - found) == [], "these write nothing any more"

    @pytest.mark.parametrize(
        ("function", "doors"),
        [
            # The stand-in of AWS sleeps where a fault says that an answer is slow.
            ("sleep", ["demo/stand_ins/aws/app.py", "host/waiting.py"]),
            ("ThreadPoolExecutor", ["host/parallel.py"]),
        ],
    )
    def test_waits_and_threads(self, function: str, doors: list[str]) -> None:
        """One policy for interrupts each: a wait or a pool elsewhere would have one of its own."""
        users = {path for path in package() if any(name(call) == function for call in calls(path))}
        assert relative(list(users)) == relative([BAKERY / door for door in doors])

    def test_errors_keep_their_cause(self) -> None:
        """The log of a verb has the traceback of an expected error: `from None` would leave out why it failed."""
        assert [
            f"{path.name}:{line}"
            for path in [*package(), *python("cdktf")]
            for line in causes_dropped(ast.parse(path.read_text()))
        ] == []

    def test_rules_see_what_they_look_for(self) -> None:
        """The rules read code; these lines keep them from seeing nothing."""
        assert causes_dropped(ast.parse("raise ValueError from None")) == [1]
        assert causes_dropped(ast.parse("raise ValueError from error")) == []
        for text in ("subprocess.run(['x'])", "os.execv('x', [])", "os.system('x')"):
            assert starts(ast.parse(text, mode="eval").body), text  # type: ignore[arg-type]
        for text in (
            "path.write_text('')",
            "path.write_bytes(b'')",
            "path.open('w')",
            "path.open(mode='ab')",
            "open(path, 'x')",
            "os.open(path, os.O_WRONLY)",
            "shutil.copyfile(a, b)",
            "path.touch()",
        ):
            assert writes(ast.parse(text, mode="eval").body), text  # type: ignore[arg-type]
        for text in ("path.open()", "path.open('rb')", "open(path)", "os.open(path, os.O_RDONLY)", "shutil.which('x')"):
            assert not writes(ast.parse(text, mode="eval").body), text  # type: ignore[arg-type]


def package() -> list[Path]:
    return [path for path in python("scripts") if BAKERY in path.parents]


def imports(path: Path) -> set[str]:
    """Top-level names that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


def name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def owner(call: ast.Call) -> str:
    return getattr(call.func.value, "id", "") if isinstance(call.func, ast.Attribute) else ""


def causes_dropped(module: ast.Module) -> list[int]:
    """Lines that raise an error `from None`."""
    raises = [node for node in ast.walk(module) if isinstance(node, ast.Raise)]
    return [node.lineno for node in raises if isinstance(node.cause, ast.Constant)]


def starts(call: ast.Call) -> bool:
    """Whether a call starts a program."""
    if owner(call) == "os":
        return name(call).startswith(("exec", "spawn", "posix_spawn", "system", "popen", "fork"))
    return owner(call) == "subprocess" or name(call).startswith("create_subprocess")


def writes(call: ast.Call) -> bool:
    """Whether a call writes a file of its own."""
    if name(call) in ("write_text", "write_bytes", "touch", "NamedTemporaryFile", "mkstemp", "TemporaryDirectory"):
        return True
    if owner(call) == "shutil":
        return name(call) in ("copy", "copy2", "copyfile", "copyfileobj", "copytree", "move", "unpack_archive")
    if name(call) != "open":
        return False
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    if owner(call) == "os" and "devnull" not in ast.dump(call):
        return any("O_WRONLY" in ast.dump(argument) or "O_RDWR" in ast.dump(argument) for argument in arguments)
    modes = [argument.value for argument in arguments if isinstance(argument, ast.Constant)]
    return any(isinstance(mode, str) and set(mode) <= set("rwaxbt+") and set(mode) & set("wax+") for mode in modes)


class TestWords:
    @pytest.mark.parametrize("kind", FORBIDDEN)
    def test_are_not_in_any_file(self, kind: str) -> None:
        pattern = re.compile(FORBIDDEN[kind])
        found = [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
            for path in tracked()
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
            if pattern.search(line)
        ]
        assert found == []


def commands() -> dict[str, typer.core.TyperCommand]:
    """Every verb by what is typed; those of a group by both words."""
    from bakery.cli import app

    found: dict[str, Any] = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", None)
        found |= {f"{name} {verb}": inner for verb, inner in below.items()} if below else {name: command}
    return found


class TestVerbs:
    def test_have_help_with_an_example(self) -> None:
        from bakery.cli import app

        for verb in commands():
            shown = CliRunner().invoke(app, [*verb.split(), "--help"], prog_name="bakery")
            assert shown.exit_code == 0, shown.output
            assert re.search(rf"Example: .*\bbakery {verb}\b", shown.output), verb

    def test_explain_every_option(self) -> None:
        missing = [
            f"{verb} {option.name}"
            for verb, command in commands().items()
            for option in command.params
            if not getattr(option, "help", "")
        ]
        assert missing == []

    def test_that_read_definitions_say_from_where(self) -> None:
        reading = {"validate", "plan", "ci", "bake", "verify", "publish", "run", "promote", "rollback"}
        reading |= {"add", "remove", "bump", "refresh", "status", "vault check"}
        for verb in reading:
            (option,) = [option for option in commands()[verb].params if option.name == "definitions"]
            assert (option.opts, option.envvar) == (["--definitions"], "BAKERY_DEFINITIONS")
