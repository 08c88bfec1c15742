"""The Vault provider's stand-in takes nothing that it does not know."""

from typing import Any

import pytest

from doubles.vault_provider import RefusedError, ordered

MOUNT = {"path": "secret", "type": "kv", "description": "", "lifecycle": {"prevent_destroy": True}}


def stack(**resources: dict[str, Any]) -> dict[str, Any]:
    return {"provider": {"vault": [{"address": "https://vault.example.com"}]}, "resource": resources}


def role(name: str, policy: str) -> dict[str, Any]:
    return {"role_name": name, "backend": "jwt", "token_policies": [policy]}


def test_resources_come_after_what_they_refer_to() -> None:
    found = list(
        ordered(
            stack(
                vault_jwt_auth_backend_role={"a": role("a", "${vault_policy.b.name}")},
                vault_policy={"b": {"name": "bakery", "policy": ""}},
            )
        )
    )
    assert [address for address, _ in found] == ["vault_policy.b", "vault_jwt_auth_backend_role.a"]
    assert found[1][1]["token_policies"] == ["bakery"]


def test_what_is_terraforms_own_is_left_out() -> None:
    [(_, arguments)] = ordered(stack(vault_mount={"kv": MOUNT}))
    assert "lifecycle" not in arguments


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"vault_kv_secret_v2": {"a": {}}}, "no kind vault_kv_secret_v2"),
        ({"vault_mount": {"a": {**MOUNT, "seal_wrap": True}}}, "vault_mount: seal_wrap"),
        ({"vault_jwt_auth_backend_role": {"a": role("a", "${vault_policy.none.name}")}}, "refers to what is not there"),
        ({"vault_policy": {"a": {"name": "${vault_policy.a.name}", "policy": ""}}}, "or to itself"),
        (
            {
                "vault_mount": {"a": MOUNT},
                "vault_policy": {"b": {"name": "${vault_mount.a.accessor}", "policy": ""}},
            },
            "cannot resolve",
        ),
        ({"vault_policy": {"a": {"name": '${upper("x")}', "policy": ""}}}, "cannot resolve"),
    ],
)
def test_what_it_does_not_know_is_refused(resources: dict[str, Any], message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        list(ordered(stack(**resources)))


def test_a_login_in_the_provider_is_refused() -> None:
    found = stack()
    found["provider"]["vault"][0]["token"] = "x"
    with pytest.raises(RefusedError, match="provider: token"):
        list(ordered(found))
