"""The network of a bake: what its guest or chroot reaches, of the internet and of this machine."""

import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from bakery.host import process
from bakery.host.errors import UsageError

SCRIPT = Path(__file__).with_name("isolate.sh")
# Ports of this machine's loopback that a bake may reach, such as those of a package archive: 8080,8081
PORTS = "BAKERY_GUEST_PORTS"
DOCS = "docs/how-to/add-an-image.md#the-network-of-a-bake says what it needs"
PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
# Metadata services by which a machine gets its rights: most clouds; Alibaba; Oracle's older one.
METADATA = ("169.254.169.254", "100.100.100.200", "192.0.0.192")
METADATA_SECONDS = 0.5  # they answer within milliseconds; where there is none, packets are dropped
PROBE_SECONDS = 60.0  # the scripts take 0.2, the start of Ansible behind them 1; much more on a busy machine


def isolate(ports: Iterable[int]) -> list[str | Path]:
    """The words before a command that give it a network of its own, with only these ports of loopback open."""
    return ["sh", SCRIPT, ",".join(str(port) for port in sorted(set(ports))) or "none"]


@cache
def find_obstacle() -> str:
    """The reason why this machine allows no network for a bake alone; empty if it does."""
    if process.which("pasta") is None:
        return "pasta is not installed (package passt)"
    return find_failure([*isolate(()), "true"])


def find_failure(command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> str:
    """The last line of a command that fails; empty if it succeeds."""
    try:
        process.run(command, env=env, timeout=PROBE_SECONDS)
    except process.ProcessError as error:
        return error.tail.splitlines()[-1].removeprefix("error: ") if error.tail else error.message
    return ""


@cache
def find_metadata_service() -> str:
    """The address of a metadata service that answers this machine; empty if none does."""
    return next((address for address in METADATA if _answers(address)), "")


def allowed_ports(environment: Mapping[str, str] = os.environ) -> set[int]:
    """Ports of loopback that the user allows bakes, and those of the user's proxies; UsageError if one is no port."""
    named = environment.get(PORTS, "").replace(",", " ").split()
    wrong = [text for text in named if not text.isdecimal() or not 0 < int(text) < 1 << 16]
    if wrong:
        raise UsageError(
            f"'{wrong[0]}' in {PORTS} is no port", where=PORTS, hint="write numbers with commas between: 8080,8081"
        )
    proxies = {loopback_port(environment.get(name, ""), name) for name in PROXIES}
    return {int(text) for text in named} | (proxies - {0})


def loopback_port(address: str, name: str) -> int:
    """The port of an address on this machine's loopback; 0 for any other address.

    UsageError if the address, the value of the variable `name`, is none.
    """
    try:
        parts = urlsplit(address if "://" in address else f"//{address}", scheme="http")
        host, port = parts.hostname, parts.port
    except ValueError as error:  # the text may have a password, which the library's message repeats
        raise UsageError(f"{name} is no address", where=name, hint="write http://HOST:PORT") from error
    if not host or not _is_loopback(host):
        return 0
    return port or (443 if parts.scheme == "https" else 80)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _answers(address: str) -> bool:
    try:
        with socket.create_connection((address, 80), METADATA_SECONDS):
            return True
    except OSError:
        return False
