"""OpenVEX: what a definition says of the known vulnerabilities that it ignores."""

import json
from collections.abc import Mapping, Sequence
from uuid import NAMESPACE_URL, uuid5

from bakery.model.documents import Artifact, Part
from bakery.model.gate import IgnoredVulnerability, VulnerabilityGate
from bakery.model.vulnerabilities import Vulnerability

CONTEXT = "https://openvex.dev/ns/v0.2.0"


def write_vex(
    gate: VulnerabilityGate, ignored: Mapping[str, Sequence[Vulnerability]], part: Part, author: str, at: str
) -> bytes:
    """The OpenVEX document of a part. `ignored` are its vulnerabilities by identifier, `at` is in ISO 8601.

    The status is `affected`: an exception with an end says that people accept a risk, not that there is none.
    """
    statements = [_state(one, ignored[one.id], part) for one in gate.ignore if one.id in ignored]
    content = json.dumps([part.identity, statements], sort_keys=True)
    document = {
        "@context": CONTEXT,
        "@id": uuid5(NAMESPACE_URL, content).urn,
        "author": author,
        "timestamp": at,
        "version": 1,
        "statements": statements,
    }
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _state(exception: IgnoredVulnerability, packages: Sequence[Vulnerability], part: Part) -> dict[str, object]:
    product = {
        "@id": f"pkg:generic/{part.image}@{part.version}?arch={part.arch}",
        **({"hashes": {"sha-256": part.disk.sha256}} if isinstance(part, Artifact) else {}),
        "subcomponents": [{"@id": package.purl} for package in packages],
    }
    return {
        "vulnerability": {"name": exception.id},
        "products": [product],
        "status": "affected",
        "action_statement": f"Accepted until {exception.until}: {exception.reason}",
    }
