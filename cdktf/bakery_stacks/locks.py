"""The lock file of each stack's providers: checksums that Terraform compares a provider with before it runs it.

`cdktf/.terraform.lock.hcl` is committed, with a block per provider. Terraform takes a lock file as read-only only if it
has no other providers than the stack's, so each stack gets the blocks of its own.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakery.host import files

NAME = ".terraform.lock.hcl"
COMMITTED = Path(__file__).parents[1] / NAME
BLOCK = re.compile(r'^provider "([^"]+)" \{\n.*?^\}\n', re.MULTILINE | re.DOTALL)
# Parts of a provider's address that a stack may leave out:
# https://developer.hashicorp.com/terraform/language/providers/requirements#source-addresses
HOST, NAMESPACE = "registry.terraform.io", "hashicorp"


def write_locks(output: Path, committed: Path = COMMITTED) -> None:
    """Put a lock file beside each synthesized stack. A stack with a provider that is not locked has none at all."""
    blocks = {match[1]: match[0] for match in BLOCK.finditer(committed.read_text())}
    for stack in output.glob("stacks/*/cdk.tf.json"):
        addresses = required_providers(json.loads(stack.read_bytes()))
        lock = stack.with_name(NAME)
        if addresses <= blocks.keys():
            files.write_atomic(lock, "\n".join(blocks[address] for address in sorted(addresses)).encode())
        else:
            lock.unlink(missing_ok=True)  # the file of an earlier run, whose changes by Terraform were never committed


def required_providers(stack: Mapping[str, Any]) -> set[str]:
    """Full addresses of the providers of a synthesized stack, such as registry.terraform.io/vmware/vsphere."""
    sources = [provider["source"] for provider in stack["terraform"].get("required_providers", {}).values()]
    return {_full_address(source) for source in sources}


def _full_address(source: str) -> str:
    match source.split("/"):
        case [name]:
            return f"{HOST}/{NAMESPACE}/{name}"
        case [namespace, name]:
            return f"{HOST}/{namespace}/{name}"
        case _:
            return source
