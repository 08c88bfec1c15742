"""Rules on secrets: none in the code, none in Terraform's state."""

import base64
import binascii
import gzip
import re
import zlib
from collections.abc import Iterator
from typing import Any

from bakery_stacks.rules.rule import Resource, Rule, Stack, is_known

SECRET_NAME = re.compile(
    r"(^|_)(password|passwd|passphrase|secret|secret_id|secret_key|secret_string|token|private_key|access_key|api_key)$"
)
# The location of a secret, not its value: an ARN, a path, an attribute that names a resource.
PLACE = re.compile(r"^(arn:|/)|\.(arn|id|name|path)\}$")
LOOKS = {
    "an AWS access key": re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a private key": re.compile(r"-----BEGIN ([A-Z]+ )*PRIVATE KEY"),
    "a GitLab token": re.compile(r"\bgl[a-z]{2,5}-[\w-]{20,}"),
    "a Vault token": re.compile(r"\bhv[bsr]\.[\w-]{20,}"),
    "a GitHub token": re.compile(r"\bgh[oprsu]_\w{36}"),
}
# Types of resource that put a secret into the state: always (""), or by an argument.
CARRIERS = {
    "aws_iam_access_key": "",
    "aws_secretsmanager_secret_version": "secret_string",
    "aws_ssm_parameter": "value",
    "data.aws_kms_secrets": "",
    "data.aws_secretsmanager_secret_version": "",
    "data.vault_generic_secret": "",
    "data.vault_kv_secret": "",
    "data.vault_kv_secret_v2": "",
    "random_password": "",
    "tls_private_key": "",
    "vault_approle_auth_backend_role_secret_id": "",
    "vault_generic_secret": "data_json",
    "vault_kv_secret": "data_json",
    "vault_kv_secret_v2": "data_json",
    "vault_token": "",
}


def _inline_secret(resource: Resource, _: Stack) -> Iterator[str]:
    """The fault names the argument, never its value."""
    for name, text in _argument_texts("", resource.arguments):
        if SECRET_NAME.search(name) and _is_secret(text) and is_known(text):
            yield f"has a literal {name}"
        for content in (text, *_decode_user_data(name, text)):
            for kind, pattern in LOOKS.items():
                if pattern.search(content):
                    yield f"has {kind} in {name}"


def _in_state(resource: Resource, _: Stack) -> Iterator[str]:
    """The state holds neither write-only arguments (`_wo`) nor settings of providers."""
    if resource.kind.startswith("provider."):
        return
    carrier = CARRIERS.get(resource.kind)
    if resource.kind == "aws_ssm_parameter" and resource.arguments.get("type") != "SecureString":
        carrier = None
    if carrier == "":
        yield "keeps its secret in the state"
    for name, text in _argument_texts("", resource.arguments):
        if name == carrier or (SECRET_NAME.search(name) and _is_secret(text)):
            yield f"keeps {name} in the state"


def _argument_texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every text in an argument, with the name of the innermost argument that has it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _argument_texts(key, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _argument_texts(name, inner)
    elif isinstance(value, str):
        yield name, value


def _is_secret(text: str) -> bool:
    return bool(text) and not PLACE.search(text)


def _decode_user_data(name: str, text: str) -> Iterator[str]:
    """The text of user data, which may be compressed."""
    if "user_data" not in name and "custom_data" not in name:
        return
    try:
        data = base64.b64decode(text, validate=True)
        unpacked = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    except (binascii.Error, ValueError, OSError, EOFError, zlib.error):
        return  # not encoded, so it is checked unchanged
    yield unpacked.decode(errors="replace")


SECRETS = (
    Rule(
        "BKY040",
        "error",
        "no secret is in the code",
        "every reader of the repository, the plan or the user data would have the secret",
        (),
        _inline_secret,
    ),
    Rule(
        "BKY041",
        "error",
        "no secret goes into the state",
        "everybody with the right to plan would have the secret; write-only arguments, Vault and SSM avoid this",
        (),
        _in_state,
    ),
)
