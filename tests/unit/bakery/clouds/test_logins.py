"""Logins that are tried before a run, against the doubles of clouds."""

from collections.abc import Iterator

import pytest

from bakery.clouds import CLOUDS
from bakery.clouds.definitions import Definition
from bakery.host.errors import BakeryError, NotFoundError
from bakery.model.definition import ImageDefinition
from doubles.aws.client import StandIn
from doubles.azure import client as azure_client
from doubles.azure import world

LOGIN = {"client_id": world.CLIENT_ID, "client_secret": world.CLIENT_SECRET}


def test_of_aws_in_the_environment(
    aws_server: StandIn, definition: ImageDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws_server.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_server.url)
    with pytest.raises(BakeryError, match="cannot log in to AWS"):
        CLOUDS["aws"].try_login(definition, {})
    assert aws_server.actions() == []
    CLOUDS["aws"].try_login(definition, {"access_key": "test", "secret_key": "test"})
    assert aws_server.actions() == ["GetCallerIdentity"]


@pytest.fixture(scope="module")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[azure_client.StandIn]:
    with azure_client.manager(tmp_path_factory.mktemp("azure")) as double:
        yield double


class TestAzure:
    @pytest.fixture
    def azure(self, azure_server: azure_client.StandIn, monkeypatch: pytest.MonkeyPatch) -> azure_client.StandIn:
        azure_server.control("POST", "reset")
        for name, value in azure_server.environment().items():
            monkeypatch.setenv(name, value)
        return azure_server

    def test_the_gallery_is_read_and_nothing_changes(self, azure: azure_client.StandIn) -> None:
        CLOUDS["azure"].try_login(define_azure(), LOGIN)
        assert azure.calls() == ["Discovery", "Login", "Galleries_Get"]

    @pytest.mark.parametrize(
        ("fields", "changes", "message", "hint"),
        [
            ({"client_secret": "old"}, {}, "cannot look for the gallery", "client_id and client_secret in Vault"),
            ({"client_secret": ""}, {}, "the Azure credentials have no client_secret", "check the secret"),
            ({}, {"tenant": world.SUBSCRIPTION}, "cannot look for the gallery", "check distribution.azure.tenant"),
            ({}, {"gallery": "gone"}, "there is no gallery gone in resource group", "az sig create"),
        ],
    )
    def test_what_azure_refuses(
        self, azure: azure_client.StandIn, fields: dict[str, str], changes: dict[str, str], message: str, hint: str
    ) -> None:
        with pytest.raises(BakeryError, match=message) as caught:
            CLOUDS["azure"].try_login(define_azure(**changes), {**LOGIN, **fields})
        assert hint in caught.value.hint

    def test_a_role_that_is_missing(self, azure: azure_client.StandIn) -> None:
        azure.fault("Galleries_Get", status=403, error="AuthorizationFailed")
        with pytest.raises(BakeryError, match="cannot look for the gallery") as caught:
            CLOUDS["azure"].try_login(define_azure(), LOGIN)
        assert not isinstance(caught.value, NotFoundError)
        assert "the application lacks a role" in caught.value.hint


def define_azure(**changes: str) -> ImageDefinition:
    """An image that Packer builds at Azure, so that no storage account is needed."""
    return Definition.model_validate(
        {
            "name": "web",
            "description": "A web server",
            "os": "debian-12",
            "arch": "x86_64",
            "version": "1.0",
            "base": {"azure": {"urn": "debian:debian-12:12-gen2:latest", "access_from": ("203.0.113.7/32",)}},
            "targets": ("azure",),
            "distribution": {
                "azure": {
                    "tenant": world.TENANT,
                    "subscription": world.SUBSCRIPTION,
                    "resource_group": world.RESOURCE_GROUP,
                    "gallery": world.GALLERY,
                    "regions": ("westeurope",),
                    "credentials": "secret/data/azure",
                    **changes,
                }
            },
        }
    )
