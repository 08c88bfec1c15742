"""The schemas that `bakery schema` prints are those of what the other verbs read and print."""

import json
import re

import pytest

from bakery.cli.schema import DOCUMENTS
from unit.bakery.cli.cli_runner import CliRunner


def test_definition_is_the_default(bakery: CliRunner) -> None:
    found = json.loads(bakery("schema").out)
    assert found == json.loads(bakery("schema", "definition").out)
    assert {"name", "version", "base"} <= set(found["required"])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents(bakery: CliRunner, name: str) -> None:
    answer = bakery("schema", name)
    assert (answer.code, answer.err) == (0, "")
    found = json.loads(answer.out)
    assert found["title"] == DOCUMENTS[name].__name__
    assert re.fullmatch(rf"bakery/{name}/[0-9]+", found["properties"]["schema"]["const"])
