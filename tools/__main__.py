"""`python3 -m tools`: sets up everything that the bakery needs. Runs on the standard library alone.

`python3 -m tools checkov` installs Checkov, which only one test needs; that test runs it.
"""

import sys

# This file must parse on older Pythons, so that they print this message instead of a SyntaxError.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(f"error: Python 3.11 or newer is needed, {sys.executable} is older; try: make PYTHON=python3.12")

import argparse
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from threading import Event
from types import FrameType

from tools import environment, pins, source, system
from tools.install import Places, install, locked
from tools.progress import Progress, SetupError

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".bakery"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tools", description="Set up what the bakery needs.")
    parser.add_argument(
        "part", nargs="?", choices=["checkov"], help="install only this; without it, all that users need"
    )
    chosen = parser.parse_args(arguments).part
    os.environ.setdefault("HOME", str(Path.home()))  # Go and npm refuse to work without it
    signal.signal(signal.SIGTERM, _raise_interrupt)
    progress = Progress(STATE / "logs")
    try:
        with locked(STATE / "setup" / "lock", "set-up", progress):
            if chosen == "checkov":
                environment.install_checkov(ROOT, progress)
            else:
                set_up(progress)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; finished parts are kept", file=sys.stderr)
        return 130
    return 0


def set_up(progress: Progress) -> None:
    """Install system packages first, since the rest may need them; then run downloads and builds in parallel."""
    missing = system.missing(system.wanted())
    if missing:
        system.install(missing, system.require(missing), progress)
    links = STATE / "tools" / "bin"
    places = Places(_cache_folder(), links, STATE / "tools" / "packer-plugins")

    # The longest build runs beside all others: one downloads or links, on one core, while the other compiles.
    tools = pins.load()
    longest = max(tools, key=lambda tool: tool.minutes)
    rest = [tool for tool in tools if tool is not longest]
    programs = [partial(install, group, places, progress) for group in (rest, [longest])]
    node_ready = Event()
    packages = [
        partial(environment.install_python, ROOT, progress, node_ready),
        partial(environment.install_node, ROOT, links, progress, node_ready),
    ]
    side_by_side([*programs, *packages], progress)
    source.remove_caches(places.go)
    progress.say("set-up", "complete")


def side_by_side(parts: list[Callable[[], None]], progress: Progress) -> None:
    """Run the parts in parallel. A failure or an interrupt stops all; finished parts are kept for the next run."""
    with ThreadPoolExecutor(max_workers=len(parts)) as pool:
        running = [pool.submit(part) for part in parts]
        try:
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
            for part in done:
                part.result()
        except BaseException:
            progress.stop()
            raise


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "image-bakery" / "tools"


def _raise_interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
