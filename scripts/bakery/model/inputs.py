"""The inputs of a bake: everything that can change its result, by name. This module defines the grammar of the names.

The table is flat (`var:nginx.port` -> `8080`), so that two of them can be compared entry by entry, and a plan can name
the changed input.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Inputs = dict[str, str]

ENGINE = "engine"
OS = "os"
ARCH = "arch"
MODE = "mode"
UPDATES = "updates"
PACKAGES = "packages"
ROLES = "roles"
PASSWORDS = "passwords"  # set if the seal keeps them
DESCRIPTION = "description"  # which only a user's own template can write to the disk, as tags
PARENT = "base"  # QEMU's base: the digest of the parent's content or of a download, or a recipe's values
LOCKED = "lock:"
READABLE = 40  # characters; a longer value is a digest or a list, which is useless in one line
DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")  # SHA-256; its first 12 digits tell two files apart, as git's do


def remote_base(builder: str) -> str:
    """The base of Packer's builder at a target."""
    return f"base:{builder}"


def variable(role: str, name: str) -> str:
    """The value of a role's variable."""
    return f"var:{role}.{name}"


def locked(package: str) -> str:
    """The version of a package in the image's lock."""
    return f"{LOCKED}{package}"


def dated(archive: str) -> str:
    """The dated archive that the image's lock has for a package archive."""
    return f"archive:{archive}"


def tool(name: str) -> str:
    """The version of a program."""
    return f"tool:{name}"


def machine(name: str) -> str:
    """A property of the hardware or firmware that a guest sees."""
    return f"machine:{name}"


def tag(name: str) -> str:
    """The value of a tag."""
    return f"tag:{name}"


def secret(name: str) -> str:
    """The location of a secret in Vault, never its value."""
    return f"secret:{name}"


def input_key(inputs: Mapping[str, str]) -> str:
    """SHA-256 over the canonical JSON of all inputs."""
    return hashlib.sha256(canonical_json(inputs).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def exact_json(value: Any) -> str:
    """JSON with keys in their order, in which a template of Ansible writes them."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True)
class Change:
    """An input that differs; a value is empty if the input is new or removed."""

    input: str
    before: str
    after: str

    def __str__(self) -> str:
        if not self.before:
            return f"{self.input} added"
        if not self.after:
            return f"{self.input} removed"
        readable = max(len(self.before), len(self.after)) <= READABLE
        return f"{self.input}: {self.before} -> {self.after}" if readable else f"{self.input} changed"


def shorten_digests(value: str) -> str:
    """A value with the first digits of each digest, for people."""
    return DIGEST.sub(r"\1", value)


def compare_inputs(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    """Inputs that differ, sorted by name; those that a user edits (variables, packages, updates, locks) come first."""
    names = sorted(before.keys() | after.keys(), key=lambda name: (not _is_edited_by_users(name), name))
    different = (name for name in names if before.get(name) != after.get(name))
    return tuple(Change(name, before.get(name, ""), after.get(name, "")) for name in different)


def _is_edited_by_users(name: str) -> bool:
    return name in (UPDATES, PACKAGES) or name.startswith(("var:", LOCKED))
