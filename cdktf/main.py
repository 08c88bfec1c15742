"""Entry point of the CDKTF program: environment and catalog -> cdktf.out/. Run by the `cdktf` command."""

import os
import sys
from pathlib import Path

from bakery.host.connection_settings import keep_loopback_direct
from bakery.host.errors import BakeryError, show_error
from bakery.model import documents
from bakery_stacks.program import load_program, synth


def main() -> int:
    """Write the stacks; an expected failure is one message, and its exit code."""
    keep_loopback_direct(os.environ)
    try:
        synth(load_program(Path(os.path.relpath(Path(__file__).parent)) / "environments", os.environ))
    except BakeryError as error:
        if file := os.environ.get("BAKERY_ERROR_FILE"):  # set by the command line, which reads it
            documents.save(documents.ErrorDocument.of(error), Path(file))
        sys.stderr.write(f"{show_error(error)}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
