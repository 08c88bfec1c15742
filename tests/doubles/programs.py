"""Executables on PATH that stand in for the programs we start."""

import os
import sys
from pathlib import Path

import pytest


class Programs:
    """A folder in front of PATH. Every stand-in notes its arguments, one call per line, before it does its part."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def shell(self, name: str, body: str = "") -> None:
        """A stand-in written in sh."""
        self._write(name, f'#!/bin/sh\necho "$*" >>{self._calls(name)}\n{body}\n')

    def python(self, name: str, body: str) -> None:
        """A stand-in written in Python; without site-packages it starts in half the time."""
        note = f"open({str(self._calls(name))!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')"
        self._write(name, f"#!{sys.executable} -IS\nimport sys\n{note}\n{body}\n")

    def calls(self, name: str) -> list[str]:
        """Arguments of every call so far."""
        log = self._calls(name)
        return log.read_text().splitlines() if log.exists() else []

    def _calls(self, name: str) -> Path:
        return self.folder / f"{name}.calls"

    def _write(self, name: str, text: str) -> None:
        program = self.folder / name
        program.write_text(text)
        program.chmod(0o755)
