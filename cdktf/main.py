"""Entry point of the CDKTF program: environment and catalog -> cdktf.out/. Run by the `cdktf` command."""

import os
import sys
from pathlib import Path

from bakery.errors import BakeryError
from bakery_stacks.program import program, synth


def main() -> int:
    """Write the stacks; an expected failure is one message, and its exit code."""
    try:
        synth(program(Path(os.path.relpath(Path(__file__).parent)) / "environments", os.environ))
    except BakeryError as error:
        where = f"{error.where}: " if error.where else ""
        lines = [f"error: {where}{error.message}", error.detail, error.hint and f"hint: {error.hint}"]
        sys.stderr.write("\n".join(filter(None, lines)) + "\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
