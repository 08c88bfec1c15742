"""How a user calls the bakery in a clone of the project."""

import os
import sys
from pathlib import Path


def user_environment() -> dict[str, str]:
    """A user's environment after `source .venv/bin/activate`, without settings of the bakery."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BAKERY_")}
    return {**kept, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_COLOR": "1"}
