"""The world of one Vault node: the AWS stand-in and a metadata service beside it, and the node as a guest of QEMU."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bakery.host import process
from bakery.machine import ssh
from bakery_stacks.stacks.vault import user_data as told
from bakery_stacks.stacks.vault.settings import API_PORT, Vault
from doubles.aws.client import HOME_ACCOUNT, HOME_REGION, StandIn, running
from doubles.certificates import Authority, Issued
from doubles.guests import VAULT_NODE_ADDRESS, boot, stop
from doubles.metadata import CREDENTIALS, Metadata, serving

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / ".bakery" / "tools" / "bin" / "vault"
HOST = "10.0.2.2"  # how a guest of QEMU's user network calls the host
METADATA = "169.254.169.254"
NAME = "vault.example.internal"
BUCKET = "bakery-vault-snapshots"
CLUSTER = "bakery-test-vault"
NAMESPACE = "bakery/test"
SEAL_KEY = f"alias/{CLUSTER}-seal"
NODE_ROLE = f"arn:aws:iam::{HOME_ACCOUNT}:role/{CLUSTER}"
DATA_MIB, AUDIT_MIB = 512, 256
BOOT_SECONDS = 900.0  # 60 to 120 s under emulation on an idle machine
STEP_SECONDS = 400.0  # whatever a node does is over in 30, on an idle machine
SECTION = Vault.model_validate(
    {
        "certificate": {"name": NAME, "chain": "/tls/chain", "key": "/tls/key", "authority": "/tls/authority"},
        "snapshots": {"bucket": BUCKET},
    }
)


@dataclass(frozen=True)
class Cloud:
    """What the stack makes, as far as a node needs it."""

    double: StandIn
    metadata: Metadata
    authority: Authority
    region: str = HOME_REGION

    def certify(self, issued: Issued) -> None:
        """A new certificate, as somebody who rotates it does."""
        ssm = self.double.client("ssm")
        for name, value in (("chain", issued.chain), ("key", issued.key), ("authority", self.authority.pem)):
            ssm.put_parameter(Name=f"/tls/{name}", Value=value, Type="SecureString", Overwrite=True)

    def snapshots(self) -> list[str]:
        found = self.double.client("s3").list_objects_v2(Bucket=BUCKET)
        return [entry["Key"] for entry in found.get("Contents", [])]

    def saved(self, name: str) -> Any:
        """A snapshot, and how it is kept."""
        return self.double.client("s3").get_object(Bucket=BUCKET, Key=name)

    def metrics(self) -> dict[str, set[float]]:
        """Values of each metric of the cluster."""
        client = self.double.client("cloudwatch")
        dimension = [{"Name": "cluster", "Value": CLUSTER}]
        names = {metric["MetricName"] for metric in client.list_metrics(Namespace=NAMESPACE)["Metrics"]}
        now = time.time()
        return {
            name: {
                point["Maximum"]
                for point in client.get_metric_statistics(
                    Namespace=NAMESPACE,
                    MetricName=name,
                    Dimensions=dimension,
                    StartTime=now - 3600,
                    EndTime=now + 3600,
                    Period=60,
                    Statistics=["Maximum"],
                )["Datapoints"]
            }
            for name in names
        }

    def url(self, server: str) -> str:
        """Where the guest finds a server of ours."""
        return f"http://{HOST}:{urlsplit(server).port}"

    def user_data(self, public_key: str) -> bytes:
        """What the stack says, with a login, and with our servers where AWS would be."""
        cluster = told.Cluster(CLUSTER, HOME_REGION, SEAL_KEY, NAMESPACE)
        config = json.loads(told.render_user_data(SECTION, cluster).removeprefix("#cloud-config\n"))
        aws = self.url(self.double.url)
        variables = {
            "AWS_ENDPOINT_URL": aws,
            "AWS_KMS_ENDPOINT": aws,  # the older client in Vault's seal knows no other
        }
        content = "".join(f"{name}={value}\n" for name, value in variables.items())
        config["write_files"].append({"path": "/etc/vault-node/environment", "content": content})
        login = {"name": "admin", "sudo": "ALL=(ALL) NOPASSWD:ALL", "ssh_authorized_keys": [public_key]}
        return b"#cloud-config\n" + json.dumps({**config, "users": [login], "bootcmd": self._metadata()}).encode()

    def _metadata(self) -> list[list[str]]:
        """Brings the guest's own requests for metadata here: Vault's clients of AWS know the one address only."""
        proxy = f"/lib/systemd/systemd-socket-proxyd {HOST}:{urlsplit(self.metadata.url).port}"
        units = {
            "metadata.socket": f"[Socket]\nListenStream={METADATA}:80\nFreeBind=yes\n",
            "metadata.service": f"[Service]\nExecStart={proxy}\n",
        }
        write = [["sh", "-c", 'printf %s "$1" >"$0"', f"/run/systemd/system/{name}", units[name]] for name in units]
        return [
            ["ip", "address", "add", f"{METADATA}/32", "dev", "lo"],
            *write,
            ["systemctl", "daemon-reload"],
            ["systemctl", "start", "--no-block", "metadata.socket"],  # the boot, which it waits for, waits for us
        ]


@contextmanager
def cloud() -> Iterator[Cloud]:
    with running() as double, serving(HOME_REGION) as metadata:
        kms, s3 = double.client("kms"), double.client("s3")
        seal_key, data_key = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
        kms.create_alias(AliasName=SEAL_KEY, TargetKeyId=seal_key)
        _make_bucket(s3, data_key)
        made = Cloud(double, metadata, Authority())
        made.certify(made.authority.issue(NAME))
        metadata.credentials = _act_as_role(double)
        yield made


def _make_bucket(s3: Any, key: str) -> None:
    """As the vault stack's archive does: encrypted by a key, and locked."""
    place = {"LocationConstraint": HOME_REGION}
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place, ObjectLockEnabledForBucket=True)
    retention = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}}
    lock = {"ObjectLockEnabled": "Enabled", "Rule": retention}
    s3.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=lock)
    encryption = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [encryption]})


def _act_as_role(double: StandIn) -> Mapping[str, str]:
    """What the metadata service of a node says of its role."""
    double.client("iam").create_role(RoleName=CLUSTER, AssumeRolePolicyDocument="{}")
    keys = double.client("sts").assume_role(RoleArn=NODE_ROLE, RoleSessionName="i-1234567890")["Credentials"]
    return {
        **CREDENTIALS,
        "AccessKeyId": keys["AccessKeyId"],
        "SecretAccessKey": keys["SecretAccessKey"],
        "Token": keys["SessionToken"],
    }


@dataclass(frozen=True)
class Node:
    """A guest that answers, and Vault's client on this side."""

    config: Path
    authority: Path

    def ssh(self, command: str, check: bool = True) -> process.Finished:
        return process.run(["ssh", "-F", self.config, "node", command], timeout=STEP_SECONDS, check=check)

    def says(self, command: str) -> str:
        return self.ssh(command).stdout.strip()

    def vault(self, *arguments: str, token: str = "", check: bool = True) -> process.Finished:
        """From outside, verified by name against the authority."""
        env = {
            "VAULT_ADDR": f"https://{VAULT_NODE_ADDRESS}:{API_PORT}",
            "VAULT_CACERT": str(self.authority),
            "VAULT_TLS_SERVER_NAME": NAME,
            **({"VAULT_TOKEN": token} if token else {}),
        }
        return process.run([PROGRAM, *arguments], env=env, timeout=STEP_SECONDS, check=check)

    def status(self) -> dict[str, Any]:
        """Empty where nothing answers."""
        text = self.vault("status", "-format=json", check=False).stdout
        return dict(json.loads(text)) if text.startswith("{") else {}


@contextmanager
def node(cloud: Cloud, disk: Path, folder: Path, accelerator: str) -> Iterator[Node]:
    """Booted until its SSH answers. The smaller disk comes first: names and order say nothing."""
    key = ssh.make_key(folder)
    authority = folder / "authority.pem"
    authority.write_text(cloud.authority.pem)
    volumes = [_volume(folder / "first", AUDIT_MIB), _volume(folder / "second", DATA_MIB)]
    user_data = cloud.user_data(key.with_suffix(".pub").read_text().strip())
    found = Node(_ssh_config(folder, key), authority)

    guest = boot(
        "i-1234567890",
        disk,
        user_data,
        VAULT_NODE_ADDRESS,
        folder / "guest",
        accelerator,
        volumes=volumes,
        ports=(22, API_PORT),
    )
    try:
        until(lambda: _answers(found, guest, folder / "guest"), BOOT_SECONDS)
        yield found
    finally:
        journal = found.ssh("sudo journalctl --boot --no-pager", check=False).stdout
        (folder / "journal.log").write_text(journal)  # for whoever looks at a failure
        stop(guest)


def _answers(found: Node, guest: "subprocess.Popen[bytes]", folder: Path) -> bool:
    assert guest.poll() is None, f"the guest ended: {(folder / 'qemu.log').read_text()}"
    return found.ssh("true", check=False).returncode == 0


def _volume(path: Path, mib: int) -> Path:
    with path.open("wb") as file:
        os.truncate(file.fileno(), mib << 20)
    return path


def _ssh_config(folder: Path, key: Path) -> Path:
    config = folder / "ssh_config"
    config.write_text(
        f"Host node\n  HostName {VAULT_NODE_ADDRESS}\n  User admin\n  IdentityFile {key}\n  IdentitiesOnly yes\n"
        "  BatchMode yes\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n"
        "  ConnectTimeout 20\n"
    )
    return config


def until(look: Callable[[], Any], seconds: float = STEP_SECONDS) -> Any:
    """What it gives, once that is something."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        assert time.monotonic() < deadline, f"nothing within {seconds:.0f} s"
        time.sleep(1)
