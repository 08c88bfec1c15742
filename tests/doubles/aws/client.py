"""Start the stand-in and talk to it: for tests, with boto3 clients of any region and account."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config

SERVER = (sys.executable, "-m", "bakery.demo.stand_ins.aws")
HOME_ACCOUNT = "123456789012"  # where moto sends credentials it does not know
HOME_REGION = "eu-central-1"
BLOCK_SIZE = 524_288
ROOT = "/dev/xvda"
SESSION = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test")
# No retries unless a test is about them, so that a fault is seen as it was made.
ONCE = Config(retries={"total_max_attempts": 1})


def point_environment(cloud: "StandIn", monkeypatch: pytest.MonkeyPatch) -> None:
    """Have programs and SDKs of a test ask a stand-in, with a login that the machine's own files do not change."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)


class StandIn:
    """A running stand-in; clients are kept, they cost 50 ms each."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._clients: dict[tuple[str, str, str], Any] = {}

    def client(self, service: str, region: str = HOME_REGION, account: str = HOME_ACCOUNT) -> Any:
        """A boto3 client; that of another account acts in a role assumed there."""
        key = service, region, account
        if key not in self._clients:
            keys: dict[str, Any] = {} if account == HOME_ACCOUNT else self._role_in(account)
            self._clients[key] = cast(Any, SESSION).client(service, region, endpoint_url=self.url, config=ONCE, **keys)
        return self._clients[key]

    def _role_in(self, account: str) -> dict[str, str]:
        role = self.client("sts", account=HOME_ACCOUNT).assume_role(
            RoleArn=f"arn:aws:iam::{account}:role/test", RoleSessionName="test"
        )
        keys = role["Credentials"]
        return {
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"],
        }

    def control(self, method: str, name: str, body: object = None) -> Any:
        """The parsed answer of `/_double/<name>`; raises HTTPError when it is refused."""
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/_double/{name}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")

    def reset(self) -> None:
        """An empty cloud; the credentials of assumed roles are gone with it."""
        self.control("POST", "reset")
        self._forget_roles()

    def settings(self, **values: object) -> None:
        """Change settings. Sessions of roles end when the clock is set ahead, so that clients need new ones."""
        self.control("POST", "settings", values)
        if "clock_ahead" in values:
            self._forget_roles()

    def _forget_roles(self) -> None:
        self._clients = {key: client for key, client in self._clients.items() if key[2] == HOME_ACCOUNT}

    def fault(self, service: str, action: str, **rule: object) -> None:
        self.control("POST", "faults", [{"service": service, "action": action, **rule}])

    def actions(self) -> list[str]:
        """The operations that were called, oldest first."""
        return [call["action"] for call in self.control("GET", "calls")]


def upload(double: StandIn, region: str = HOME_REGION, **start: Any) -> str:
    """A completed 1 GiB snapshot with one block; gives its ID."""
    ebs, ec2 = double.client("ebs", region), double.client("ec2", region)
    snapshot_id: str = ebs.start_snapshot(**{"VolumeSize": 1, **start})["SnapshotId"]
    put_block(ebs, snapshot_id, 0, bytes(BLOCK_SIZE))
    ebs.complete_snapshot(SnapshotId=snapshot_id, ChangedBlocksCount=1)
    until("completed", lambda: ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0])
    return snapshot_id


def upload_blocks(double: StandIn, blocks: Mapping[int, bytes], region: str = HOME_REGION, gib: int = 1) -> str:
    """A completed snapshot with these blocks; gives its ID."""
    ebs, ec2 = double.client("ebs", region), double.client("ec2", region)
    snapshot_id: str = ebs.start_snapshot(VolumeSize=gib)["SnapshotId"]
    for index, data in blocks.items():
        put_block(ebs, snapshot_id, index, data)
    ebs.complete_snapshot(SnapshotId=snapshot_id, ChangedBlocksCount=len(blocks))
    until("completed", lambda: ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0])
    return snapshot_id


def change_blocks(double: StandIn, snapshot_id: str, blocks: Mapping[int, bytes | None]) -> None:
    """Change blocks of a completed snapshot, or remove them."""
    texts = {str(index): data and base64.b64encode(data).decode() for index, data in blocks.items()}
    double.control("POST", "blocks", {"snapshot_id": snapshot_id, "blocks": texts})


def put_block(ebs: Any, snapshot_id: str, index: int, data: bytes, **wrong: Any) -> Any:
    """PutSnapshotBlock with the right length and checksum, unless `wrong` says otherwise."""
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    sums = {"DataLength": len(data), "Checksum": checksum, "ChecksumAlgorithm": "SHA256"}
    return ebs.put_snapshot_block(SnapshotId=snapshot_id, BlockIndex=index, BlockData=data, **(sums | wrong))


def register(double: StandIn, name: str, region: str = HOME_REGION, **request: Any) -> str:
    """A pending UEFI image on an uploaded snapshot; gives its ID."""
    if "BlockDeviceMappings" not in request:
        request["BlockDeviceMappings"] = [{"DeviceName": ROOT, "Ebs": {"SnapshotId": upload(double, region)}}]
    traits = {"Architecture": "x86_64", "VirtualizationType": "hvm", "BootMode": "uefi", "RootDeviceName": ROOT}
    image_id: str = double.client("ec2", region).register_image(**(traits | {"Name": name} | request))["ImageId"]
    return image_id


def available(double: StandIn, image_id: str, region: str = HOME_REGION) -> dict[str, Any]:
    """The image as DescribeImages shows it once it is available."""
    ec2 = double.client("ec2", region)
    return until("available", lambda: ec2.describe_images(ImageIds=[image_id])["Images"][0])


def until(state: str, look: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Look until the State is the wanted one; time passes by looking here, so there is nothing to sleep for."""
    for _ in range(10):
        seen = look()
        if seen["State"] == state:
            return seen
    raise AssertionError(f"still {seen['State']}, not {state}: {seen}")


@contextmanager
def running(state: Path | None = None) -> Iterator[StandIn]:
    """A server of its own on a free port; stopped by SIGTERM, so that it saves its state."""
    command = [*SERVER, "--port", "0", *(["--state", str(state)] if state else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            ready = process.stdout.readline()
            assert ready, f"{' '.join(command)} did not start: see its messages above"
            yield StandIn(json.loads(ready)["url"])
        finally:
            process.terminate()
            process.wait(timeout=30)
