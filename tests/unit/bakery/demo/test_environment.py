"""What the demo needs before it starts anything."""

import sys
from pathlib import Path

import pytest

from bakery.demo import environment
from bakery.host.errors import BakeryError
from bakery.model.project import Project


def test_without_moto_it_says_how_to_install_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moto", None)
    with pytest.raises(BakeryError, match="needs moto") as caught:
        environment.start(project, Path("vault"))
    assert "pip install 'multi-cloud-image-bakery[demo]'" in caught.value.hint
    assert not project.workspace.exists()
