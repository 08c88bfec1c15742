"""User data of a Vault node: cloud-config without secrets.

Programs of the image (ansible/roles/vault) do the rest: they mount disks, fetch the certificate, take snapshots and
report. All files are JSON, which cloud-config and Vault both read.
"""

import json
from dataclasses import dataclass
from typing import Any

from bakery_stacks.stacks.vault.settings import API_PORT, SNAPSHOT_ROLE, Vault

CONFIGURATION = "/etc/vault.d/vault.json"
SETTINGS = "/etc/vault-node/settings.json"
TLS = "/etc/vault-node/tls"  # created by the image; Vault reads every file in /etc/vault.d
CLUSTER_PORT = 8201
JOIN_TAG = "bakery:vault"


@dataclass(frozen=True)
class Cluster:
    """The cluster that a node joins. `name` is the value of the join tag, `seal_key` an alias.

    All values are known before the first deploy, so a plan shows the whole text.
    """

    name: str
    region: str
    seal_key: str
    metrics: str


def render_user_data(vault: Vault, cluster: Cluster) -> str:
    """The cloud-config of a node. Settings come before Vault's configuration, which starts Vault."""
    return _cloud_config(
        write_files=[
            _file_entry(SETTINGS, node_settings(vault, cluster)),
            _file_entry(CONFIGURATION, vault_configuration(vault, cluster)),
        ],
        runcmd=[["systemctl", "start", "--no-block", "vault-node.target"]],
    )


def vault_configuration(vault: Vault, cluster: Cluster) -> dict[str, Any]:
    """Vault's configuration: TLS everywhere, unsealed by KMS, nodes found by their tag."""
    join = {
        "auto_join": f"provider=aws region={cluster.region} tag_key={JOIN_TAG} tag_value={cluster.name}",
        "auto_join_scheme": "https",
        "leader_tls_servername": vault.certificate.name,
        "leader_ca_cert_file": f"{TLS}/authority.pem",
    }
    listener = {
        "address": f"0.0.0.0:{API_PORT}",
        "tls_cert_file": f"{TLS}/chain.pem",
        "tls_key_file": f"{TLS}/key.pem",
        "tls_min_version": "tls12",
    }
    return {
        "cluster_name": cluster.name,
        "api_addr": f"https://{{{{ GetPrivateIP }}}}:{API_PORT}",
        "cluster_addr": f"https://{{{{ GetPrivateIP }}}}:{CLUSTER_PORT}",
        "storage": {"raft": {"path": "/var/lib/vault/raft", "retry_join": [join]}},
        "listener": [{"tcp": listener}],
        # Raft maps all data into memory, which locked memory would have to hold; the image's unit forbids swap instead.
        "disable_mlock": True,
        "seal": {"awskms": {"region": cluster.region, "kms_key_id": cluster.seal_key}},
    }


def node_settings(vault: Vault, cluster: Cluster) -> dict[str, Any]:
    """Settings of the image's programs."""
    certificate = vault.certificate
    return {
        "region": cluster.region,
        "server_name": certificate.name,
        "tls": {"chain.pem": certificate.chain, "key.pem": certificate.key, "authority.pem": certificate.authority},
        "snapshots": {
            "bucket": vault.snapshots.bucket,
            "every_hours": vault.snapshots.every_hours,
            "vault_role": SNAPSHOT_ROLE,
        },
        "metrics": {"namespace": cluster.metrics, "cluster": cluster.name, "nodes": vault.nodes},
    }


def _file_entry(path: str, content: dict[str, Any]) -> dict[str, str]:
    return {"path": path, "permissions": "0644", "content": json.dumps(content, indent=2) + "\n"}


def _cloud_config(**parts: Any) -> str:
    return f"#cloud-config\n{json.dumps(parts, indent=2)}\n"
