"""Clients of an application that is logged in to one subscription."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from azure.identity import ClientSecretCredential
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.storage.blob import BlobServiceClient

from bakery.clouds.azure.calls import SETTINGS
from bakery.clouds.azure.settings import AzureDistribution
from bakery.host.errors import BakeryError

FIELDS = ("client_id", "client_secret")  # the names in Vault's Azure engine (azure/creds)

# For sovereign and private clouds, and for stand-ins. The first is azure-identity's own.
AUTHORITY = "AZURE_AUTHORITY_HOST"
RESOURCE_MANAGER = "AZURE_RESOURCE_MANAGER_URL"
BLOBS = "AZURE_BLOB_URL"  # {account} stands for the storage account
PUBLIC_BLOBS = "https://{account}.blob.core.windows.net"


@dataclass(frozen=True)
class AzureSession:
    """`blobs` is None if no storage account is set. Nothing connects before the first call."""

    compute: ComputeManagementClient = field(repr=False)
    resources: ResourceManagementClient = field(repr=False)
    blobs: BlobServiceClient | None = field(repr=False)


def connect(azure: AzureDistribution, credentials: Mapping[str, str]) -> AzureSession:
    """Clients for the definition's tenant and subscription; BakeryError if a field of the credentials is missing."""
    if missing := [name for name in FIELDS if not credentials.get(name)]:
        raise BakeryError(
            f"the Azure credentials have no {' and no '.join(missing)}",
            where=azure.credentials,
            hint="log in to Vault, and check the secret at that path",
        )
    credential = ClientSecretCredential(
        azure.tenant,
        credentials["client_id"],
        credentials["client_secret"],
        # Without this, the SDK asks the public cloud about the authority.
        disable_instance_discovery=AUTHORITY in os.environ,
        **SETTINGS,
    )
    manager = os.environ.get(RESOURCE_MANAGER)
    return AzureSession(
        ComputeManagementClient(credential, azure.subscription, base_url=manager, **SETTINGS),
        ResourceManagementClient(credential, azure.subscription, base_url=manager, **SETTINGS),
        _blob_client(azure, credential),
    )


def _blob_client(azure: AzureDistribution, credential: ClientSecretCredential) -> BlobServiceClient | None:
    if azure.storage_account is None:
        return None
    url = os.environ.get(BLOBS, PUBLIC_BLOBS).replace("{account}", azure.storage_account)
    return BlobServiceClient(url, credential=credential, **SETTINGS)
