"""`fingerprint.ENGINE` is raised by hand. This test asks for a decision when the code that a bake runs has changed.

.venv/bin/python tests/lint/test_engine_digest.py 'why images stay as they are'
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from bakery.engine.fingerprint import ENGINE

ROOT = Path(__file__).parents[2]
CLOUDS = ROOT / "scripts" / "bakery" / "clouds"
# Packages and modules below scripts/bakery/ that decide what a bake makes: base disks, Packer's variables and run,
# Ansible's variables, the guest's hardware, names and tags. Templates, roles, recipes and the versions of tools are
# inputs of the key.
DECIDING = (
    "bake",
    "layers",
    "machine/disk_image.py",
    "machine/qemu.py",
    "machine/qmp.py",
    "machine/saved_boot.py",
    "clouds/job.py",
    "clouds/manifest.py",
    "model/naming.py",
    "model/resources.py",
    "model/tags.py",
    *(
        f"clouds/{path.parent.name}/builder.py"
        for path in sorted((ROOT / "scripts/bakery/clouds").glob("*/builder.py"))
    ),
)
RECORD = Path(__file__).with_name("engine_digest.json")
ADVICE = f"""\
The code that decides what a bake makes is not the recorded one.
If images baked from the same definition differ now, first raise ENGINE in scripts/bakery/engine/fingerprint.py. Then
record the code with one line that says why, from the folder of the repository:

    .venv/bin/python {Path(__file__).relative_to(ROOT)} 'why images differ, or stay as they are'
"""


def sources() -> list[Path]:
    """The modules of DECIDING."""
    places = [ROOT / "scripts" / "bakery" / name for name in DECIDING]
    missing = [str(place.relative_to(ROOT)) for place in places if not place.exists()]
    assert not missing, f"DECIDING names what is not there: {', '.join(missing)}"
    return sorted(path for place in places for path in (place.rglob("*.py") if place.is_dir() else [place]))


def digest(texts: Iterable[str]) -> str:
    """SHA-256 over code without comments, docstrings and layout."""
    return hashlib.sha256("\n".join(dump(without_docstrings(text)) for text in texts).encode()).hexdigest()


def without_docstrings(text: str) -> ast.Module:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            del node.body[0]
    return tree


def dump(node: object) -> str:
    """A syntax tree as text, without empty fields: `ast.dump` shows those that a version of Python has added."""
    if isinstance(node, ast.AST):
        fields = (f"{name}={dump(value)}" for name, value in ast.iter_fields(node) if value not in (None, []))
        return f"{type(node).__name__}({', '.join(fields)})"
    return f"[{', '.join(map(dump, node))}]" if isinstance(node, list) else repr(node)


def current() -> dict[str, str]:
    return {"engine": ENGINE, "digest": digest(path.read_text() for path in sources())}


def test_a_change_of_the_code_of_bakes_was_decided_on() -> None:
    recorded = json.loads(RECORD.read_text())
    assert recorded.pop("reason").strip()
    assert recorded == current(), ADVICE


def test_the_digest_is_of_the_code_alone() -> None:
    plain = digest(["def f(x):\n    return x + 1\n"])
    assert digest(['"""M."""\n\ndef f( x ):  # c\n    """D."""\n    return (x\n            + 1)\n']) == plain
    assert digest(["def f(x):\n    return x + 2\n"]) != plain


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].strip():
        sys.exit(ADVICE)
    RECORD.write_text(json.dumps({**current(), "reason": sys.argv[1]}, indent=2) + "\n")
