"""All that the stand-in knows: a tenant with two applications, a subscription with one gallery."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

TENANT = "11111111-1111-1111-1111-111111111111"
SUBSCRIPTION = "22222222-2222-2222-2222-222222222222"
CLIENT_ID = "33333333-3333-3333-3333-333333333333"
CLIENT_SECRET = "not-a-secret"
APPLICATION = "44444444-4444-4444-4444-444444444444"  # the object behind CLIENT_ID
# The application of Vault, which may give the other one passwords and nothing else.
VAULT_ID = "55555555-5555-5555-5555-555555555555"
VAULT_SECRET = "vaults-own-secret"
RESOURCE_GROUP = "images"
GALLERY = "bakery"
STORAGE_ACCOUNT = "bakerystore"
LOCATION = "westeurope"

# Names and display names; Azure answers with the latter where it tells of replicas.
REGIONS = {
    "eastus": "East US",
    "germanywestcentral": "Germany West Central",
    "northeurope": "North Europe",
    "westeurope": "West Europe",
    "westus2": "West US 2",
}

Json = dict[str, Any]


@dataclass
class Replica:
    """One region's copy. `looks` are the answers that still show it as on its way."""

    looks: int
    state: str = "Replicating"


@dataclass
class Version:
    """A gallery image version; `provisioning` moves by looking."""

    body: Json
    replicas: dict[str, Replica]
    provisioning: str
    operation: str
    deleting_looks: int = 0
    content: bytes = field(default=b"", repr=False)  # of its VHD


@dataclass
class ManagedDisk:
    """A disk that was made of a version; `signature` is that of its active SAS."""

    content: bytes = field(repr=False)
    signature: str = ""


@dataclass(frozen=True)
class Password:
    """A secret that Graph made for the application."""

    secret: str
    ends: datetime
    name: str


@dataclass
class Settings:
    """`pending_reads` answers show the first replica as on its way, twice as many the others."""

    pending_reads: int = 1
    failing: tuple[str, ...] = ()


@dataclass
class World:
    """Resources by ID, in lower case as ARM compares them."""

    galleries: dict[str, Json] = field(default_factory=dict)
    images: dict[str, Json] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)
    disks: dict[str, ManagedDisk] = field(default_factory=dict)
    groups: dict[str, Json] = field(default_factory=dict)  # by name, with `created`: times of what is in them
    machines: dict[str, list[Json]] = field(default_factory=dict)  # by scale set; "" for those of none
    scale_sets: dict[str, Json] = field(default_factory=dict)
    market: dict[str, list[str]] = field(default_factory=dict)  # versions by publisher:offer:sku
    passwords: dict[str, Password] = field(default_factory=dict)  # by key ID
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        gallery = compute_id(f"galleries/{GALLERY}")
        self.galleries[gallery.lower()] = {
            "id": gallery,
            "name": GALLERY,
            "type": "Microsoft.Compute/galleries",
            "location": LOCATION,
            "properties": {"provisioningState": "Succeeded"},
        }


def compute_id(name: str) -> str:
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.Compute/{name}"


def storage_id(account: str) -> str:
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
    return f"{group}/providers/Microsoft.Storage/storageAccounts/{account}"
