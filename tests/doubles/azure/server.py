"""Starts the Azure stand-in: `python tests/doubles/azure/server.py --port N --certificate FILE`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # A script's own folder comes first on the path; the modules are `doubles.azure.…` here as under pytest.
    sys.path[0] = str(Path(__file__).parents[2])
    from doubles.azure.serve import main

    sys.exit(main())
