"""What the demo needs before it starts anything."""

import json
import sys
from pathlib import Path

import pytest

from bakery.demo import environment, services
from bakery.demo.services import Service
from bakery.host.errors import BakeryError
from bakery.model.project import Project


def test_without_moto_it_says_how_to_install_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moto", None)
    with pytest.raises(BakeryError, match="needs moto") as caught:
        environment.start(project, Path("vault"))
    assert "pip install 'multi-cloud-image-bakery[demo]'" in caught.value.hint
    assert not project.workspace.exists()


PORTS = {"apt": 8001, "aws": 8002, "vault": 8003}


@pytest.fixture
def running(project: Project, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The ports of services that run, by name; Vault has left its login."""
    ports = dict(PORTS)
    monkeypatch.setattr(services, "find_running", lambda name, _: Service(1, ports[name]) if name in ports else None)
    login = environment.folder_of(project) / "vault" / "login.json"
    login.parent.mkdir(parents=True)
    login.write_text(json.dumps({"VAULT_ADDR": "http://127.0.0.1:8003", "VAULT_ROLE_ID": "r", "VAULT_SECRET_ID": "s"}))
    return ports


def test_the_variables_lead_to_the_demo(project: Project, running: dict[str, int]) -> None:
    found = environment.variables(project)
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:8002"
    assert (found["VAULT_ADDR"], found["VAULT_SECRET_ID"]) == ("http://127.0.0.1:8003", "s")
    assert found["BAKERY_GUEST_PORTS"] == "8001"
    assert found["BAKERY_CATALOG"] == environment.CATALOG
    assert (found["BAKERY_WORKSPACE"], found["BAKERY_DEFINITIONS"]) == (
        str(project.workspace),
        str(project.definitions),
    )


def test_the_made_up_key_is_no_word_of_a_path(project: Project, running: dict[str, int]) -> None:
    """The values of secrets are redacted in all output, such as in cdktf/environments/demo.yaml."""
    found = environment.variables(project)
    assert found["AWS_SECRET_ACCESS_KEY"] not in f"{environment.CATALOG} {project.workspace} demo.yaml"


@pytest.mark.parametrize("name", PORTS)
def test_a_service_that_is_down_is_named(project: Project, running: dict[str, int], name: str) -> None:
    del running[name]
    with pytest.raises(BakeryError, match=f"do not run: {name}$") as caught:
        environment.variables(project)
    assert caught.value.hint == "run 'make demo' first"
