"""What the Vault provider does with each kind of resource: its arguments, and the calls that its source makes for them.

From terraform-provider-vault 5.6, vault/resource_*.go: where a resource is written, what is sent when it is new and
what when it changed, and where it is read back: every path that the provider reads, so that a policy without it fails
here as well.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Arguments = dict[str, Any]
Calls = list[tuple[str, Arguments]]

LOGIN = "auth/token/lookup-self"  # read before any resource (internal/provider/meta.go)
AUTOPILOT = "sys/storage/raft/autopilot/configuration"


@dataclass(frozen=True)
class Kind:
    """`create` and `update` (which is told the names of what changed) give calls as (path, body).

    Without `update` it is made anew where something changes. `read` gives the paths to read back, whose answers `seen`
    turns into arguments. `computed` are attributes that others may refer to, which Vault chooses.
    """

    known: set[str]
    create: Callable[[Arguments], Calls]
    read: Callable[[Arguments], list[str]]
    update: Callable[[Arguments, set[str]], Calls] | None = None
    seen: Callable[[Arguments, Arguments], Arguments] = field(default=lambda _, answer: answer)
    computed: tuple[str, ...] = ()


def without(arguments: Arguments, *names: str) -> Arguments:
    return {name: value for name, value in arguments.items() if name not in names}


def mount(arguments: Arguments) -> Calls:
    about: dict[str, Any] = {name: arguments[name] for name in ("type", "description", "options") if name in arguments}
    return [(f"sys/mounts/{arguments['path']}", about)]


def method(arguments: Arguments) -> Calls:
    return [(f"sys/auth/{arguments['path']}", {name: arguments[name] for name in ("type", "description")})]


def method_place(path: str) -> str:
    """Where a login method is read: the API package avoids sys/auth, which needs sudo (api/sys_auth.go, GetAuth)."""
    return f"sys/mounts/auth/{path}"


def audit(arguments: Arguments) -> Calls:
    return [(f"sys/audit/{arguments['path']}", without(arguments, "path"))]


def policy(arguments: Arguments) -> Calls:
    return [(f"sys/policies/acl/{arguments['name']}", {"policy": arguments["policy"]})]


def jwt_config(arguments: Arguments) -> Calls:
    config = {"oidc_discovery_ca_pem": "", **without(arguments, "path", "type", "description")}
    return [(f"auth/{arguments['path']}/config", config)]


def jwt_role(arguments: Arguments) -> Calls:
    """Values of claims that have commas become lists."""
    claims = {name: text.split(",") if "," in text else text for name, text in arguments["bound_claims"].items()}
    body = {**without(arguments, "backend", "role_name"), "bound_claims": claims}
    return [(f"auth/{arguments['backend']}/role/{arguments['role_name']}", body)]


def jwt_role_seen(_: Arguments, answer: Arguments) -> Arguments:
    claims = {n: ",".join(value) if isinstance(value, list) else value for n, value in answer["bound_claims"].items()}
    return {**answer, "bound_claims": claims}


def signing_key(arguments: Arguments) -> Calls:
    return [(f"{arguments['backend']}/keys/{arguments['name']}", {"type": arguments["type"]})]


def signing_key_config(arguments: Arguments) -> Calls:
    config = {"min_decryption_version": 1, **without(arguments, "backend", "name", "type")}
    return [(f"{arguments['backend']}/keys/{arguments['name']}/config", config)]


def aws_config(arguments: Arguments) -> Calls:
    """The two parts of a key are always sent, empty where there is none."""
    config = {"access_key": "", "secret_key": "", **without(arguments, "path", "description")}
    return [(f"{arguments['path']}/config/root", config)]


def aws_role(arguments: Arguments) -> Calls:
    return [(f"{arguments['backend']}/roles/{arguments['name']}", without(arguments, "backend", "name"))]


def azure_config(arguments: Arguments) -> Arguments:
    empty = {"client_id": "", "client_secret": "", "environment": "AzurePublicCloud"}
    return {**empty, **without(arguments, "path", "description")}


def azure_update(arguments: Arguments, changed: set[str]) -> Calls:
    """Only what changed, so that a secret which was set by hand stays."""
    config = azure_config(arguments)
    return [(f"{arguments['path']}/config", {name: config[name] for name in changed})]


def azure_role(arguments: Arguments) -> Calls:
    return [(f"{arguments['backend']}/roles/{arguments['role']}", without(arguments, "backend", "role"))]


def azure_role_seen(_: Arguments, answer: Arguments) -> Arguments:
    """Times are texts to the provider."""
    return {name: str(value) if name.endswith("ttl") else value for name, value in answer.items()}


def iam_client(arguments: Arguments) -> Calls:
    return [(f"auth/{arguments['backend']}/config/client", without(arguments, "backend"))]


def iam_role(arguments: Arguments) -> Calls:
    """Vault's own names of lists are in the singular."""
    body = {n.removesuffix("s") if n.startswith("bound_") else n: value for n, value in arguments.items()}
    return [(f"auth/{arguments['backend']}/role/{arguments['role']}", without(body, "backend", "role"))]


def iam_role_seen(_: Arguments, answer: Arguments) -> Arguments:
    return {f"{n}s" if n.startswith("bound_") else n: value for n, value in answer.items()}


def autopilot(arguments: Arguments) -> Calls:
    return [(AUTOPILOT, arguments)]


KINDS = {
    "vault_audit": Kind(
        {"path", "type", "options", "description"},
        create=audit,
        read=lambda found: ["sys/audit"],
        seen=lambda found, answer: dict(answer[f"{found['path']}/"]),
    ),
    "vault_auth_backend": Kind(
        {"path", "type", "description"},
        create=method,
        read=lambda found: [method_place(found["path"]), f"{method_place(found['path'])}/tune"],
    ),
    "vault_aws_auth_backend_client": Kind(
        {"backend", "sts_endpoint", "sts_region", "iam_server_id_header_value"},
        create=iam_client,
        update=lambda found, _: iam_client(found),
        read=lambda found: [f"auth/{found['backend']}/config/client"],
    ),
    "vault_aws_auth_backend_role": Kind(
        {
            *("backend", "role", "auth_type", "bound_iam_principal_arns", "resolve_aws_unique_ids", "token_policies"),
            *("token_no_default_policy", "token_ttl", "token_explicit_max_ttl", "token_type"),
        },
        create=iam_role,
        update=lambda found, _: iam_role(found),
        read=lambda found: [f"auth/{found['backend']}/role/{found['role']}"],
        seen=iam_role_seen,
    ),
    "vault_aws_secret_backend": Kind(
        {"path", "description", "region", "sts_endpoint", "sts_region"},
        create=lambda found: mount({**found, "type": "aws"}) + aws_config(found),
        update=lambda found, _: aws_config(found),
        read=lambda found: [f"sys/mounts/{found['path']}", f"{found['path']}/config/root"],
    ),
    "vault_aws_secret_backend_role": Kind(
        {"backend", "name", "credential_type", "role_arns", "default_sts_ttl", "max_sts_ttl"},
        create=aws_role,
        update=lambda found, _: aws_role(found),
        read=lambda found: [f"{found['backend']}/roles/{found['name']}"],
    ),
    "vault_azure_secret_backend": Kind(
        {"path", "description", "tenant_id", "subscription_id", "client_id"},
        create=lambda found: [*mount({**found, "type": "azure"}), (f"{found['path']}/config", azure_config(found))],
        update=azure_update,
        read=lambda found: [f"sys/mounts/{found['path']}", f"{found['path']}/config"],
    ),
    "vault_azure_secret_backend_role": Kind(
        {"backend", "role", "application_object_id", "ttl", "max_ttl", "explicit_max_ttl"},
        create=azure_role,
        update=lambda found, _: azure_role(found),
        read=lambda found: [f"{found['backend']}/roles/{found['role']}"],
        seen=azure_role_seen,
    ),
    "vault_jwt_auth_backend": Kind(
        {"path", "type", "description", "oidc_discovery_url", "oidc_discovery_ca_pem", "bound_issuer"},
        create=lambda found: method(found) + jwt_config(found),
        update=lambda found, _: jwt_config(found),
        read=lambda found: [
            method_place(found["path"]),
            f"auth/{found['path']}/config",
            f"{method_place(found['path'])}/tune",
        ],
        computed=("accessor",),
    ),
    "vault_jwt_auth_backend_role": Kind(
        {
            *("backend", "role_name", "role_type", "user_claim", "bound_audiences", "bound_claims", "token_policies"),
            *("bound_claims_type", "token_no_default_policy", "token_ttl", "token_explicit_max_ttl", "token_type"),
        },
        create=jwt_role,
        update=lambda found, _: jwt_role(found),
        read=lambda found: [f"auth/{found['backend']}/role/{found['role_name']}"],
        seen=jwt_role_seen,
    ),
    "vault_mount": Kind(
        {"path", "type", "description", "options"}, create=mount, read=lambda found: [f"sys/mounts/{found['path']}"]
    ),
    "vault_policy": Kind(
        {"name", "policy"},
        create=policy,
        update=lambda found, _: policy(found),
        read=lambda found: [f"sys/policies/acl/{found['name']}"],
    ),
    "vault_raft_autopilot": Kind(
        {"cleanup_dead_servers", "min_quorum", "dead_server_last_contact_threshold"},
        create=autopilot,
        update=lambda found, _: autopilot(found),
        read=lambda _: [AUTOPILOT],
    ),
    "vault_transit_secret_backend_key": Kind(
        {"backend", "name", "type", "deletion_allowed", "exportable", "allow_plaintext_backup"},
        create=lambda found: signing_key(found) + signing_key_config(found),
        update=lambda found, _: signing_key_config(found),
        read=lambda found: [f"{found['backend']}/keys/{found['name']}"],
    ),
}
