"""Start the stand-in and Azurite, and talk to them: for tests."""

import base64
import ipaddress
import json
import os
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bakery.machine import qemu
from doubles.azure.proxy import HOSTS
from doubles.azure.world import STORAGE_ACCOUNT

ROOT = Path(__file__).parents[3]
SERVER = Path(__file__).with_name("server.py")
NODE = ROOT / ".bakery" / "tools" / "bin" / "node"
AZURITE = ROOT / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
LISTENING = "successfully listen"  # what Azurite says when it takes connections


@dataclass(frozen=True)
class StandIn:
    """A running stand-in with its Azurite; `certificate` is what their clients have to trust."""

    url: str
    blobs: str
    certificate: Path

    def environment(self) -> dict[str, str]:
        """What brings every client of Azure here, and nowhere else."""
        return {
            "AZURE_AUTHORITY_HOST": self.url,
            "AZURE_RESOURCE_MANAGER_URL": self.url,
            "AZURE_BLOB_URL": f"{self.blobs}/{{account}}",
            "REQUESTS_CA_BUNDLE": str(self.certificate),
        }

    def control(self, method: str, name: str, body: object = None) -> Any:
        """The parsed answer of `/_double/<name>`; raises HTTPError when it is refused."""
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/_double/{name}", data, headers, method=method)
        trust = ssl.create_default_context(cafile=self.certificate)
        with urllib.request.urlopen(request, timeout=30, context=trust) as answer:
            return json.loads(answer.read() or "null")

    def settings(self, **values: object) -> None:
        self.control("POST", "settings", values)

    def fault(self, operation: str, **rule: object) -> None:
        self.control("POST", "faults", [{"operation": operation, **rule}])

    def calls(self) -> list[str]:
        """The operations that were called, oldest first."""
        found: list[str] = self.control("GET", "calls")
        return found


@contextmanager
def running(folder: Path) -> Iterator[StandIn]:
    """Both servers on free ports, with a certificate of their own in `folder`."""
    certificate = make_certificate(folder / "azure.pem")
    with _azurite(certificate) as blobs, _server(certificate) as url:
        yield StandIn(url, blobs, certificate)


@contextmanager
def manager(folder: Path) -> Iterator[StandIn]:
    """The login and the resource manager alone, which need no program; nothing answers for blobs."""
    certificate = make_certificate(folder / "azure.pem")
    with _server(certificate) as url:
        yield StandIn(url, "https://127.0.0.1:1", certificate)


@contextmanager
def _server(certificate: Path) -> Iterator[str]:
    command = [sys.executable, str(SERVER), "--port", "0", "--certificate", str(certificate)]
    with _started(command, {}) as process:
        assert process.stdout
        ready = process.stdout.readline()
        assert ready, f"{' '.join(command)} did not start: see its messages above"
        yield json.loads(ready)["url"]


@contextmanager
def _azurite(certificate: Path) -> Iterator[str]:
    """Azurite with one account and the checks of tokens that it has. It is behind the SDK's version of the API."""
    port = str(qemu.free_port())
    key = base64.b64encode(b"nobody uses keys here").decode()
    # fmt: off
    command = [
        str(NODE), str(AZURITE), "--blobHost", "127.0.0.1", "--blobPort", port,
        "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--silent",
        "--oauth", "basic", "--cert", str(certificate), "--key", str(certificate),
    ]
    # fmt: on
    with _started(command, {"AZURITE_ACCOUNTS": f"{STORAGE_ACCOUNT}:{key}"}) as process:
        assert process.stdout
        said = []
        for line in process.stdout:
            said.append(line)
            if LISTENING in line:
                break
        else:
            raise AssertionError("Azurite did not start: " + "".join(said))
        yield f"https://127.0.0.1:{port}"


@contextmanager
def _started(command: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **env}) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)


def make_certificate(path: Path) -> Path:
    """A PEM file with a key and a certificate, for 127.0.0.1 and Azure's own names, that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Azure stand-in")])
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *map(x509.DNSName, HOSTS)]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return path
