"""`bakery schema`: the JSON Schema of definitions and documents."""

import json
from typing import Annotated, Literal

import typer

from bakery.catalog import ChannelEntry, Record
from bakery.clouds import definitions
from bakery.engine.plan import Plan
from bakery.model import documents
from bakery.model.contents import Contents
from bakery.model.lock import Lock
from bakery.model.vulnerabilities import VulnerabilityReport

Name = Literal[
    "definition",
    "lock",
    "plan",
    "artifact",
    "contents",
    "verdict",
    "vulnerabilities",
    "publication",
    "record",
    "channel",
]
DOCUMENTS: dict[str, type] = {
    "lock": Lock,
    "plan": Plan,
    "artifact": documents.Artifact,
    "contents": Contents,
    "verdict": documents.Verdict,
    "vulnerabilities": VulnerabilityReport,
    "publication": documents.Publication,
    "record": Record,
    "channel": ChannelEntry,
}


def schema(name: Annotated[Name, typer.Argument(help="The document.")] = "definition") -> None:
    """Print the JSON Schema of a document.

    Example: bakery schema > image.schema.json
    """
    json_schema = definitions.json_schema() if name == "definition" else documents.json_schema(DOCUMENTS[name])
    print(json.dumps(json_schema, indent=2))
