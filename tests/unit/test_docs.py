"""The documentation: what is generated is up to date, what is linked is there, what is promised can be typed."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import typer

from doubles.checkout import list_files

ROOT = Path(__file__).parents[2]
STACKS = ROOT / "docs" / "reference" / "stacks"
KINDS = {"tutorial", "how-to", "reference", "explanation"}  # of Diataxis: each page is one of them
# Code whose hints and comments name a page.
NAMING = (
    "scripts",
    "cdktf",
    "runner",
    "ansible",
    "packer",
    "templates",
    "tests",
    "vault",
    ".gitlab-ci.yml",
    "examples",
)
# [text](target "title"), but no picture's address on the web and no link inside a page.
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)[^)]*\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
RELEASE = re.compile(r"(?:/bakery@|[?&]ref=)(v?\d+\.\d+\.\d+)")  # of the bakery, to include a component or module by


@cache
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(ROOT / "docs"))  # as when it is run
    spec.loader.exec_module(module)
    return module


def pages() -> list[Path]:
    """Every Markdown page that is or would be in the repository."""
    return list_files(ROOT, "*.md")


def anchors(page: Path) -> set[str]:
    """Where headings can be linked, as GitHub and GitLab name them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    found = []
    for target in LINK.findall(CODE.sub("", FENCE.sub("", page.read_text()))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            found.append(f"{page.relative_to(ROOT)}: {target}")
    return found


def test_generated_pages_are_up_to_date() -> None:
    stale = [
        path.relative_to(ROOT).as_posix()
        for path, text in generator().pages().items()
        if not path.exists() or path.read_text() != text
    ]
    assert stale == [], "run 'make docs'"


def test_the_command_line_page_has_every_verb_and_exit_code() -> None:
    text = generator().pages()[ROOT / "docs" / "reference" / "cli.md"]
    verbs = ("validate", "plan", "bake", "verify", "publish", "run", "promote", "rollback", "catalog", "doctor")
    for verb in (*verbs, "vault check", "vault exec"):
        assert f"\n## {verb}\n" in text
    for code in (0, 1, 2, 3, 4, 64, 75, 130):
        assert f"\n| {code} |" in text
    assert str(ROOT) not in text


def test_the_command_line_page_has_every_variable() -> None:
    """But the one by which the bakery gets errors of the CDKTF program that it starts."""
    command = ["git", "-c", "safe.directory=*", "grep", "-hoE", r"\bBAKERY_[A-Z_]+", "--", "scripts/bakery"]
    read = set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())
    assert "BAKERY_LAYERS" in read
    shown = set(re.findall(r"\bBAKERY_[A-Z_]+", (ROOT / "docs/reference/cli.md").read_text()))
    assert read - {"BAKERY_ERROR_FILE"} - shown == set()


def test_links_lead_somewhere() -> None:
    found = pages()
    assert ROOT / "README.md" in found
    assert [line for page in found for line in broken(page)] == []


def test_the_index_has_every_page_of_the_four_kinds() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target).resolve() for target in LINK.findall(index.read_text())}
    linked |= {(STACKS / target).resolve() for target in LINK.findall((STACKS / "README.md").read_text())}
    written = {page for page in pages() if page.is_relative_to(index.parent) and page != index}
    assert {page.relative_to(index.parent).parts[0] for page in written} == KINDS
    assert written - linked == set()


def test_the_pages_that_code_names_are_there() -> None:
    command = ["git", "-c", "safe.directory=*", "grep", "-hoE", r"docs/[a-z0-9/-]+\.md", "--", *NAMING]
    named = set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())
    assert "docs/reference/rules.md" in named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_broken_links_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "# A Page\n\n[a](other.md) [b](#a-page) [c](#none) [d](page.md#nothing)\n\n```\n[e](code.md)\n```\n"
        "[f](https://example.com/) [g](page.md)\n"
    )
    assert broken(page) == ["page.md: other.md", "page.md: #none", "page.md: page.md#nothing"]


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_readme_shows_how_to_start(command: str) -> None:
    shown = "\n".join(FENCE.findall((ROOT / "README.md").read_text()))
    assert re.search(rf"^{command}\b", shown, re.MULTILINE)


def test_what_the_pages_make_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for page in pages() for name in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)}
    assert {"demo", "test"} <= named
    assert named - targets == set()


def test_the_releases_that_pages_name_are_tags() -> None:
    """`@x.y.z` of a component and `?ref=x.y.z` of a module; a reader would get an error of git for any other."""
    named = {release for page in pages() for release in RELEASE.findall(page.read_text())}
    command = ["git", "-c", "safe.directory=*", "tag", "--list"]
    tags = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert named - set(tags) == set(), "write <commit>, or make the release"
    assert RELEASE.findall("c: a.b/bakery@1.0.0 m: git::https://a.b//m?ref=v1.0.0 bakery show web@1.0.0") == [
        "1.0.0",
        "v1.0.0",
    ]


def test_the_version_is_that_of_the_changelog() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    newest = re.search(r"^## \[(.+)\](.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert version == (f"{newest[1]}.dev0" if "unreleased" in newest[2] else newest[1])


def test_an_example_writes_to_the_folder_that_is_there() -> None:
    """The shell makes no folder, and says less than the bakery would."""
    examples = re.findall(r"^ *Example: (.+)$", generator().pages()[ROOT / "docs/reference/cli.md"], re.MULTILINE)
    files = [example.split(" > ")[1] for example in examples if " > " in example]
    assert "keys.json" in files
    assert [file for file in files if "/" in file] == []


def test_what_the_pages_run_is_a_verb() -> None:
    from bakery.cli import app

    verbs = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    pattern = re.compile(r"(?:^|`|\$ |\()bakery ([a-z]+)\b", re.MULTILINE)
    named = {name for page in pages() for name in pattern.findall(page.read_text())}
    assert {"plan", "run"} <= named
    assert named - verbs == set()
