"""The demo's stand-in for AWS as a program of its own, and the calls that it got."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

REGION = "us-east-1"


def environment(url: str) -> dict[str, str]:
    """The variables of this process and those with which programs and SDKs ask a stand-in, and nobody else."""
    return {
        **os.environ,
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "made-up-secret-key",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def aws() -> Iterator[str]:
    """The URL of an empty AWS, which ends with the block."""
    command = [sys.executable, "-m", "bakery.demo.stand_ins.aws", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdout
        try:
            yield json.loads(server.stdout.readline())["url"]
        finally:
            server.terminate()


def count_calls(url: str, action: str) -> int:
    """How often an action was called since the start."""
    with urllib.request.urlopen(f"{url}/_double/calls", timeout=60) as answer:
        return [call["action"] for call in json.load(answer)].count(action)
