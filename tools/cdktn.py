"""`python -m tools.cdktn`: runs the stacks' program on CDK Terrain too, and says where its output differs from cdktf's.

Needs the set-up. The packages have a folder of their own, since their dependencies replace those of cdktf.
"""

import difflib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ROOT / ".bakery" / "cdktn"
LOCK = Path(__file__).with_suffix(".lock")
ENVIRONMENT = "production"
UNBOUND = ("vsphere",)  # parts of an environment whose provider has no package for CDK Terrain
PROGRAM = """
import os, sys
from pathlib import Path
from bakery_stacks.program import load_program
load_program(Path(sys.argv[1]), os.environ).synth()
"""


def main() -> int:
    install()
    with tempfile.TemporaryDirectory(prefix="bakery-cdktn-") as name:
        folder = Path(name)
        write_environment(folder / "environments")
        before, after = (synth(folder, framework) for framework in ("cdktf", "cdktn"))
    differences = list(compare(before, after))
    print("\n".join(differences) or f"{', '.join(after)}: the same")
    return 1 if differences else 0


def install() -> None:
    """Install only the packages of the lock, by hash; pip uses the index that the user has set up."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    exact = ["--no-deps", "--no-compile", "--require-hashes", "--only-binary", ":all:"]
    subprocess.run([*pip, *exact, "--upgrade", "--target", PACKAGES, "--requirement", LOCK], check=True)


def write_environment(folder: Path) -> None:
    """The documented environment without its unbound parts: a part ends where the next line begins at its margin."""
    text = (ROOT / "cdktf" / "environments" / f"{ENVIRONMENT}.yaml").read_text()
    for part in UNBOUND:
        text = re.sub(rf"^{part}:.*\n(?:[ #].*\n|\n)*", "", text, flags=re.MULTILINE)
    folder.mkdir()
    (folder / f"{ENVIRONMENT}.yaml").write_text(text)


def synth(folder: Path, framework: str) -> dict[str, Any]:
    """The stacks by name."""
    out = folder / framework
    variables = {
        "BAKERY_CATALOG": str(folder / "catalog"),
        "BAKERY_ENVIRONMENT": ENVIRONMENT,
        "BAKERY_FRAMEWORK": framework,
        "CDKTF_OUTDIR": str(out),
        "PYTHONPATH": os.pathsep.join(map(str, (PACKAGES, ROOT / "scripts", ROOT / "cdktf"))),
    }
    command: list[str | Path] = [sys.executable, "-c", PROGRAM, folder / "environments"]
    subprocess.run(command, env={**os.environ, **variables}, check=True)
    files = sorted(out.glob("stacks/*/cdk.tf.json"))
    return {path.parent.name: json.loads(path.read_bytes()) for path in files}


def compare(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """A diff, without versions of the framework and of its providers, which have to differ."""
    for name in sorted(before.keys() | after.keys()):
        old, new = (json.dumps(plain(stacks.get(name)), indent=2, sort_keys=True) for stacks in (before, after))
        yield from difflib.unified_diff(
            old.splitlines(), new.splitlines(), f"cdktf/{name}", f"cdktn/{name}", lineterm=""
        )


def plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items() if key not in ("//", "required_providers")}
    return [plain(item) for item in node] if isinstance(node, list) else node


if __name__ == "__main__":
    sys.exit(main())
