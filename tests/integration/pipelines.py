"""What runs a pipeline of GitLab here: gitlab-ci-local, in the shell of this machine, on a copy of the project.

It ignores ID tokens, retries, locks and tags, hides failures of child pipelines and knows `workflow:rules` as variables
only. So tokens come from the environment, one for all jobs; jobs are looked at one by one, and the rules are tried on a
job of their own. The place of the runner image's toolbox is rewritten in the copy, since no container runs here.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from bakery.demo.stand_ins.vault import VaultServer
from bakery.engine.duties import Duty
from bakery.machine.timeout import VARIABLE
from bakery.signing import DUTIES as SIGNING_DUTIES
from doubles.checkout import copy_files, list_files
from doubles.vault import Issuer, jwt_role, vault_server

ROOT = Path(__file__).parents[2]
POLICIES = ROOT / "vault" / "duties"
SECONDS = 1800.0  # of the longest run, with emulated boots
CANARY = "canary-5e2b9d40-pass"
CLAIMS: dict[str, Any] = {"project_id": "7", "ref_protected": "true"}
IMAGE = "bakery/ground"  # the environment of its jobs; Vault's policies name secrets by that claim
DUTIES = get_args(Duty)
CHECKS = ["vault-check", "validate", "plan"]
BRANCH_CHECKS = [f"branch-{check}" for check in CHECKS]  # of refs that are not protected
TOOLBOX = "/opt/bakery"
SETTINGS = ".gitlab/bakery.env"
RUNNER_IMAGE = f"registry.example.com/images/bakery/runner@sha256:{'1' * 64}"
WORD = r"(?:\[bake\] -> )?(\S.*?)\s*"  # a job's name, and before it the trigger's if it is of the child pipeline
NO_BASE = {"url": "http://127.0.0.1:1/disk.qcow2", "sha256": "0" * 64}

GROUND = """\
name: ground
description: nginx and its secret, to build another image on
os: debian-13
arch: x86_64
version: "1.0"
mode: chroot
base:
  qemu:
    url: {url}
    sha256: "{sha256}"
software:
  roles:
    - name: nginx
secrets:
  nginx_status_password:
    path: secret/data/bakery/ground
    key: status_password
tests: [base]
targets: [local]
"""

TINY = """\
name: tiny
description: One package more, in one region
os: debian-13
arch: x86_64
version: "1.0"
mode: chroot
base:
  qemu:
    image: ground
software:
  packages: [jq]
tests: [base, web]
targets: [aws]
distribution:
  aws:
    regions: [us-east-1]
    credentials: aws/sts/publish
channel: stable
"""


@dataclass(frozen=True)
class Run:
    """What became of each job, and all that was said."""

    code: int
    jobs: dict[str, str]
    out: str


@dataclass(frozen=True)
class Repository:
    """A copy of the project with two definitions, as a GitLab runner would check it out."""

    root: Path

    def write(self, path: str, text: str) -> None:
        """Change a file and commit it."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", path)

    def git(self, *arguments: str) -> None:
        command = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com", *arguments]
        subprocess.run(command, cwd=self.root, check=True, capture_output=True)

    def local(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """gitlab-ci-local with the environment of its jobs."""
        node = ROOT / ".bakery" / "tools" / "bin" / "node"
        program = ROOT / "node_modules" / ".bin" / "gitlab-ci-local"
        env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environment}
        command: list[str | Path] = [node, program, "--no-color", *options]
        return subprocess.run(
            command, cwd=self.root, env=env, capture_output=True, text=True, timeout=SECONDS, check=False
        )

    def jobs(self, *options: str, **variables: str) -> list[str]:
        """Names of the jobs of a pipeline that predefined variables describe."""
        given = [word for name, value in variables.items() for word in ("--variable", f"{name}={value}")]
        done = self.local("--list-json", *given, *options)
        assert done.returncode == 0, done.stderr
        listed = json.loads(done.stdout[done.stdout.index("\n[") :])
        return [job["name"] for job in listed if job["when"] != "never"]

    def configure(self, settings: Mapping[str, str]) -> None:
        """Commit the settings of the jobs."""
        told = {VARIABLE: os.environ[VARIABLE], **settings}
        self.write(SETTINGS, "".join(f"{name}={value}\n" for name, value in told.items()))

    def run(self, *options: str, settings: Mapping[str, str] | None = None, **environment: str) -> Run:
        """A whole pipeline on a protected branch, with settings of the project and variables that GitLab makes."""
        self.configure(settings or {})
        shell = ["--shell-isolation", "--force-shell-executor", "--no-artifacts-to-source"]
        done = self.local(*shell, "--variable", "CI_COMMIT_REF_PROTECTED=true", *options, **environment)
        found = {name: word for word, name in re.findall(rf"^ (PASS|FAIL) {{2}}{WORD}$", done.stdout, re.MULTILINE)}
        return Run(done.returncode, found, done.stdout + done.stderr)


def check_out(folder: Path) -> Repository:
    """What is and would be committed here, with other definitions."""
    found = Repository(folder)
    others = (ROOT / "packer" / "images", ROOT / "docs")
    copy_files((path for path in list_files(ROOT) if not {*path.parents} & {*others}), ROOT, found.root)
    for name in (".gitlab-ci.yml", "templates/bakery/template.yml", "scripts/bakery/engine/gitlab.py"):
        (found.root / name).write_text((found.root / name).read_text().replace(TOOLBOX, str(ROOT)))
    found.git("init", "--quiet", "--initial-branch=main")
    found.git("remote", "add", "origin", "https://gitlab.example.com/group/project.git")
    found.write("packer/images/ground.yaml", GROUND.format(**NO_BASE))
    found.write("packer/images/tiny.yaml", TINY)
    found.git("update-ref", "refs/remotes/origin/main", "HEAD")
    found.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    return found


@dataclass(frozen=True)
class Login:
    """What GitLab gives every job, and where it is written down who logged in and who read what."""

    environment: dict[str, str]
    settings: dict[str, str]
    audit: Path

    def roles(self) -> list[str]:
        """Roles of the logins, in order, each once."""
        logins = [entry for entry in self._entries() if entry["request"]["path"].endswith("/login")]
        return list(dict.fromkeys(entry["auth"]["metadata"]["role"] for entry in logins if entry.get("auth")))

    def readers(self, path: str) -> set[str]:
        """Roles that were given what is at a path."""
        given = [entry for entry in self._entries() if entry["request"]["path"] == path]
        return {entry["auth"]["metadata"]["role"] for entry in given if entry["request"]["operation"] == "read"}

    def _entries(self) -> Iterator[dict[str, Any]]:
        """Good answers, oldest first."""
        entries = map(json.loads, self.audit.read_text().splitlines())
        return (entry for entry in entries if entry["type"] == "response" and not entry.get("error"))


@contextmanager
def vault_with_secrets(folder: Path) -> Iterator[VaultServer]:
    """A Vault with an image's secret and credentials of AWS, the policies that we ship, and an audit log.

    Version 1 of the KV engine stands in for the AWS engine: it gives keys of the same names at the same paths.
    """
    with vault_server(folder) as server:
        client = server.client
        client.sys.enable_audit_device("file", options={"file_path": str(folder / "audit.log")}, path="file")
        server.put("secret/data/bakery/ground", {"status_password": CANARY})
        client.sys.enable_secrets_engine("kv", path="aws", options={"version": "1"})
        client.sys.enable_auth_method("jwt")
        accessor = client.sys.list_auth_methods()["data"]["jwt/"]["accessor"]
        for duty in ("bake", "publish", "apply"):
            client.write_data(f"aws/sts/{duty}", data={"access_key": f"vault-{duty}", "secret_key": f"{CANARY}-{duty}"})
        client.sys.enable_secrets_engine("transit")
        for signing in SIGNING_DUTIES:
            client.secrets.transit.create_key(f"bakery-{signing}", key_type="ed25519")
        for duty in DUTIES:
            policy = (POLICIES / f"{duty}.hcl").read_text().replace("JWT_ACCESSOR", accessor)
            client.sys.create_or_update_policy(f"bakery-{duty}", policy)
        yield server


def log_in(vault: VaultServer, catalog: str) -> Login:
    """A role for each duty, and a token that may take them all."""
    issuer = Issuer()
    for duty in DUTIES:
        jwt_role(vault, f"bakery-{duty}", issuer, CLAIMS, "bakery-validate", f"bakery-{duty}")
    found = vault.client.sys.list_enabled_audit_devices()["data"]["file/"]["options"]["file_path"]
    environment = {"VAULT_ID_TOKEN": issuer.token(vault.address, 3600, sub=IMAGE, **CLAIMS)}
    settings = {
        "VAULT_ADDR": vault.address,
        "BAKERY_CATALOG": catalog,
        "BAKERY_APPLY_CREDENTIALS": "aws/sts/apply",
    }
    return Login(environment, settings, Path(found))
