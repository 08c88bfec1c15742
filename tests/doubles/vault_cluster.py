"""A real Vault cluster on loopback: raft storage, TLS from the first byte, unsealed by a key that is kept outside.

Another Vault's transit engine has the seal key, where in production KMS has it. Servers find each other by addresses,
where in AWS tags are looked up. Their certificates have one name and no address in them, so that joining depends on it.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hvac
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from requests.adapters import HTTPAdapter

from bakery.demo.stand_ins.vault import VaultServer
from bakery.host import process
from bakery.machine import qemu
from doubles.vault import program, vault_server

NAME = "vault.bakery.test"  # in every certificate, and what a joining server asks for
SEAL_KEY = "seal"
START_SECONDS = 300.0

CONFIGURATION = """\
storage "raft" {{
  path = "{folder}/data"
  node_id = "{name}"
  performance_multiplier = 1
{joins}
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster_port}"
  tls_cert_file = "{authority}/server.pem"
  tls_key_file = "{authority}/server.key"
}}
seal "transit" {{
  address = "{seal}"
  key_name = "{key}"
  mount_path = "transit/"
}}
api_addr = "https://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{cluster_port}"
disable_mlock = true
"""
JOIN = """\
  retry_join {{
    leader_api_addr = "{address}"
    leader_ca_cert_file = "{authority}/ca.pem"
    leader_tls_servername = "{name}"
  }}
"""


@dataclass
class Node:
    """One server. `child` is its program, None where it does not run."""

    name: str
    folder: Path
    port: int = field(default_factory=qemu.free_port)
    cluster_port: int = field(default_factory=qemu.free_port)
    child: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "vault.log").read_text()

    def kill(self) -> None:
        """As a machine that is gone: nothing is said to anybody."""
        assert self.child
        os.killpg(self.child.pid, signal.SIGKILL)
        process.stop(self.child)
        self.child = None


@dataclass
class Cluster:
    """Servers that find each other. `token` is the root's, once the cluster is initialised."""

    folder: Path
    authority: Path
    seal: VaultServer
    nodes: list[Node] = field(default_factory=list)
    token: str = ""

    def start(self, *names: str, joined: str = NAME) -> None:
        """Add empty servers, which look for all that are there by the name `joined`."""
        new = [Node(name, self.folder / name) for name in names]
        self.nodes += new
        for node in new:
            node.folder.mkdir(parents=True)
            (node.folder / "data").mkdir()
            (node.folder / "vault.hcl").write_text(self._configuration(node, joined))
            self.run(node)

    def run(self, node: Node) -> None:
        """Start a server with what is on its disk."""
        command: list[str | Path] = [program(), "server", f"-config={node.folder / 'vault.hcl'}"]
        node.child = process.spawn(command, log=node.folder / "vault.log", env={"VAULT_TOKEN": self.seal.token})

    def restart(self, node: Node) -> None:
        """As `systemctl restart vault` does."""
        assert node.child
        process.stop(node.child)
        self.run(node)

    def reload(self) -> None:
        """Have all servers open their logs again."""
        for node in self.nodes:
            if node.child:
                node.child.send_signal(signal.SIGHUP)

    def vault(self, *words: str | Path, node: Node | None = None, token: str | None = None) -> str:
        """What the vault command prints; CalledProcessError if it fails."""
        done = subprocess.run(
            [program(), *words], env=self.env(node, token), capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout

    def env(self, node: Node | None = None, token: str | None = None) -> dict[str, str]:
        """What a user sets, to talk to a server: by default the first that lives."""
        found = node or next(node for node in self.nodes if node.child)
        trust = {"VAULT_CACERT": str(self.authority / "ca.pem"), "VAULT_TLS_SERVER_NAME": NAME}
        own = self.token if token is None else token
        return {"PATH": f"{program().parent}:{os.environ['PATH']}", "VAULT_ADDR": found.address, **trust} | (
            {"VAULT_TOKEN": own} if own else {}
        )

    def initialise(self) -> None:
        """As an administrator does once, and keeps the recovery keys that come out."""
        words = ("operator", "init", "-recovery-shares=1", "-recovery-threshold=1", "-format=json")
        made = json.loads(until("a server that can be initialised", lambda: self.vault(*words)))
        self.token = made["root_token"]
        until(f"{len(self.nodes)} voters", lambda: len(self.voters()) == len(self.nodes))

    def client(self) -> hvac.Client:
        """For the root, at the first server that lives."""
        session = requests.Session()
        session.verify = str(self.authority / "ca.pem")
        session.mount("https://", _ByName())
        return hvac.Client(url=self.env()["VAULT_ADDR"], token=self.token, session=session)

    def servers(self) -> dict[str, dict[str, Any]]:
        """What autopilot says of each server, by name."""
        answer = self.vault("read", "-format=json", "sys/storage/raft/autopilot/state")
        return dict(json.loads(answer)["data"]["servers"])

    def voters(self) -> set[str]:
        """Names of healthy servers that vote."""
        return {name for name, one in self.servers().items() if one["healthy"] and one["status"] in ("leader", "voter")}

    def listed(self) -> set[str]:
        """Names of all that raft counts."""
        answer = self.vault("operator", "raft", "list-peers", "-format=json")
        return {server["node_id"] for server in json.loads(answer)["data"]["config"]["servers"]}

    def leader(self) -> Node:
        (name,) = [name for name, one in self.servers().items() if one["status"] == "leader"]
        return next(node for node in self.nodes if node.name == name)

    def stop(self) -> None:
        for node in self.nodes:
            if node.child:
                node.kill()

    def _configuration(self, node: Node, joined: str) -> str:
        others = [other for other in self.nodes if other is not node]
        joins = "".join(JOIN.format(address=one.address, authority=self.authority, name=joined) for one in others)
        return CONFIGURATION.format(
            folder=node.folder,
            name=node.name,
            joins=joins,
            port=node.port,
            cluster_port=node.cluster_port,
            authority=self.authority,
            seal=self.seal.address,
            key=SEAL_KEY,
        )


class _ByName(HTTPAdapter):
    """The server is found by address, and known by the name in its certificate."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, server_hostname=NAME, assert_hostname=NAME)


def until(what: str, look: Callable[[], Any], seconds: float = START_SECONDS) -> Any:
    """What `look` finds, once that is something; the vault command may fail until then."""
    deadline = time.monotonic() + seconds
    problem = ""
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
        except subprocess.CalledProcessError as error:
            problem = error.stderr
        time.sleep(0.3)
    raise TimeoutError(f"waited {seconds:.0f} s for {what}\n{problem}")


@contextmanager
def seal_and_authority(folder: Path) -> Iterator[tuple[VaultServer, Path]]:
    """What outlives a cluster: a Vault with the seal key, and the authority of its certificates."""
    make_authority(folder / "authority")
    with vault_server(folder / "seal") as seal:
        seal.client.sys.enable_secrets_engine("transit")
        seal.client.secrets.transit.create_key(SEAL_KEY)
        yield seal, folder / "authority"


def make_authority(folder: Path) -> None:
    """ca.pem, and with it server.pem and server.key of a certificate for NAME alone."""
    folder.mkdir(parents=True)
    root, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Authority of a test")])
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    ca = x509.BasicConstraints(ca=True, path_length=0)
    alternative = x509.SubjectAlternativeName([x509.DNSName(NAME)])
    _write(folder / "ca.pem", _certificate(issuer, issuer, root, root, ca))
    _write(folder / "server.pem", _certificate(subject, issuer, leaf, root, alternative))
    kind, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    _write(folder / "server.key", leaf.private_bytes(serialization.Encoding.PEM, kind, plain))


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> bytes:
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        .sign(signer, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)
