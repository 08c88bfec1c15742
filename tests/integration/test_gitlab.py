"""The GitLab pipeline, run by gitlab-ci-local in the shell of this machine, on a copy of the project.

It ignores ID tokens, retries, locks and tags, hides failures of child pipelines and knows `workflow:rules` as variables
only. So tokens come from the environment, jobs are looked at one by one, and the rules are tried on a job of their own.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from bakery import files
from bakery.bake.base import BaseDisk
from bakery.catalog import Catalog, open_store
from doubles.vault import Issuer, VaultServer, vault_server

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SECONDS = 1800.0  # of the longest run, with an emulated boot
CANARY = "canary-5e2b9d40-pass"
CLAIMS = {"project_id": "7", "ref_protected": "true"}
CHECKS = ["vault-check", "validate", "plan"]
WORD = r"(?:\[bake\] -> )?(\S.*?)\s*"  # a job's name, and before it the trigger's if it is of the child pipeline

TINY = """\
name: tiny
description: The smallest that Packer has something to do for
os: debian-12
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
    path: secret/data/bakery/web
    key: status_password
tests: [base]
targets: [local]
"""


@dataclass(frozen=True)
class Run:
    """What became of each job, and all that was said."""

    code: int
    jobs: dict[str, str]
    out: str


@dataclass(frozen=True)
class Repository:
    """A copy of the project with one definition, as a GitLab runner would check it out."""

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
        env = {"BAKERY_TOOLBOX": str(ROOT), "PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environment}
        command = [node, program, "--no-color", *options]
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

    def run(self, *options: str, **environment: str) -> Run:
        """A whole pipeline on a protected branch."""
        shell = ["--shell-isolation", "--force-shell-executor", "--no-artifacts-to-source"]
        done = self.local(*shell, "--variable", "CI_COMMIT_REF_PROTECTED=true", *options, **environment)
        found = {name: word for word, name in re.findall(rf"^ (PASS|FAIL) {{2}}{WORD}$", done.stdout, re.MULTILINE)}
        return Run(done.returncode, found, done.stdout + done.stderr)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """What is and would be committed here, with other definitions."""
    listed = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    found = Repository(tmp_path / "project")
    for name in names:
        if name and not name.startswith(("packer/images/", "docs/")) and (ROOT / name).is_file():
            (found.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, found.root / name)
    found.git("init", "--quiet", "--initial-branch=main")
    found.git("remote", "add", "origin", "https://gitlab.example.com/group/project.git")
    found.write("packer/images/tiny.yaml", TINY.format(url="http://127.0.0.1:1/disk.qcow2", sha256="0" * 64))
    found.git("update-ref", "refs/remotes/origin/main", "HEAD")
    found.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    return found


class TestRules:
    """Each kind of trigger against the jobs that it shall start."""

    @pytest.mark.parametrize(
        ("variables", "bakes"),
        [
            ({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_REF_PROTECTED": "true"}, True),
            ({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_REF_PROTECTED": "false"}, False),
            ({"CI_PIPELINE_SOURCE": "merge_request_event", "CI_COMMIT_REF_PROTECTED": "false"}, False),
            ({"CI_PIPELINE_SOURCE": "merge_request_event", "CI_COMMIT_REF_PROTECTED": "true"}, False),
            ({"CI_PIPELINE_SOURCE": "web", "CI_COMMIT_REF_PROTECTED": "true"}, True),
            ({"CI_PIPELINE_SOURCE": "web", "CI_COMMIT_REF_PROTECTED": "false"}, False),
            ({"CI_PIPELINE_SOURCE": "web", "CI_COMMIT_REF_PROTECTED": "true", "CI_COMMIT_BRANCH": ""}, False),
            ({"CI_PIPELINE_SOURCE": "api", "CI_COMMIT_REF_PROTECTED": "true"}, True),
            ({"CI_PIPELINE_SOURCE": "trigger", "CI_COMMIT_REF_PROTECTED": "true"}, True),
            ({"CI_PIPELINE_SOURCE": "schedule", "CI_COMMIT_REF_PROTECTED": "true"}, True),
        ],
    )
    def test_jobs(self, repository: Repository, variables: dict[str, str], bakes: bool) -> None:
        assert repository.jobs(**variables) == [*CHECKS, *(["bake"] if bakes else [])]

    @pytest.mark.parametrize("source", ["push", "web", "api", "trigger", "schedule"])
    def test_a_dry_run_bakes_nothing(self, repository: Repository, source: str) -> None:
        variables = {"CI_PIPELINE_SOURCE": source, "CI_COMMIT_REF_PROTECTED": "true"}
        assert repository.jobs("--input", "dry_run=true", **variables) == CHECKS

    def test_the_runner_image_is_built_when_it_is_asked_for(self, repository: Repository) -> None:
        asked = ("--input", "build_runner=true")
        web = {"CI_PIPELINE_SOURCE": "web"}
        found = repository.jobs(*asked, **web, CI_COMMIT_REF_PROTECTED="true")
        assert sorted(found) == sorted([*CHECKS, "bake", "runner-image", "runner-test"])
        assert repository.jobs(*asked, **web, CI_COMMIT_REF_PROTECTED="false") == CHECKS

    @pytest.mark.parametrize(
        ("changed", "branch", "built"),
        [
            ("runner/Dockerfile", "main", True),
            ("tools/go/packer/go.mod", "main", True),
            ("README.md", "main", False),
            ("runner/Dockerfile", "feature", False),
        ],
    )
    def test_the_runner_image_is_built_when_its_files_change(
        self, repository: Repository, changed: str, branch: str, built: bool
    ) -> None:
        repository.git("switch", "--quiet", "--force-create", branch)
        repository.write(changed, "# changed\n")
        found = repository.jobs(CI_PIPELINE_SOURCE="push", CI_COMMIT_REF_PROTECTED="true")
        assert ("runner-image" in found) is built

    @pytest.mark.parametrize(
        ("variables", "runs"),
        [
            ({"CI_PIPELINE_SOURCE": "push"}, True),
            ({"CI_PIPELINE_SOURCE": "push", "CI_OPEN_MERGE_REQUESTS": "group/project!1"}, True),
            ({"CI_PIPELINE_SOURCE": "push", "CI_OPEN_MERGE_REQUESTS": "x!1", "CI_COMMIT_BRANCH": "feature"}, False),
            ({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "feature"}, True),
            ({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "", "CI_COMMIT_TAG": "1.0.0"}, False),
            ({"CI_PIPELINE_SOURCE": "merge_request_event"}, True),
            ({"CI_PIPELINE_SOURCE": "web"}, True),
            ({"CI_PIPELINE_SOURCE": "api"}, True),
            ({"CI_PIPELINE_SOURCE": "trigger"}, True),
            ({"CI_PIPELINE_SOURCE": "schedule"}, True),
            ({"CI_PIPELINE_SOURCE": "chat"}, False),
        ],
    )
    def test_workflow(self, repository: Repository, variables: dict[str, str], runs: bool) -> None:
        _, _, body = (ROOT / ".gitlab-ci.yml").read_text().partition("\n---\n")
        rules = re.search(r"^workflow:.*?^(  rules:.*?)\n^\S", body, re.MULTILINE | re.DOTALL)
        assert rules
        repository.write(".gitlab-ci.yml", f"pipeline:\n{rules[1]}\n  script: [echo]\n")
        assert repository.jobs(**variables) == (["pipeline"] if runs else [])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("target=moon", "`target` input: `moon` cannot be used because it is not in the list of allowed options"),
        ("channel=beta", "`channel` input: `beta` cannot be used because it is not in the list of allowed options"),
        ("dry_run=perhaps", "`dry_run` input: provided value is not a boolean"),
        ("images=web; rm", "`images` input: `web; rm` does not match required regex"),
    ],
)
def test_input_that_is_not_in_the_list_starts_nothing(repository: Repository, wrong: str, message: str) -> None:
    run = repository.run("--input", wrong)
    assert (run.code, run.jobs) == (1, {})
    assert message in run.out
    assert not (repository.root / ".gitlab-ci-local" / "builds").exists()


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultServer]:
    """With the secret, and an audit log that says who read it."""
    folder = tmp_path_factory.mktemp("vault")
    with vault_server(folder) as server:
        server.put("secret/data/bakery/web", {"status_password": CANARY})
        server.client.sys.enable_audit_device("file", options={"file_path": str(folder / "audit.log")}, path="file")
        yield server


@dataclass(frozen=True)
class Login:
    """What GitLab gives every job, and where the roles that logged in are written down."""

    environment: dict[str, str]
    audit: Path

    def roles(self) -> list[str]:
        """Roles of the logins, in order, each once."""
        entries = [json.loads(line) for line in self.audit.read_text().splitlines()]
        logins = [entry for entry in entries if entry["type"] == "response" and "/login" in entry["request"]["path"]]
        return list(dict.fromkeys(entry["auth"]["metadata"]["role"] for entry in logins if entry.get("auth")))


@pytest.fixture
def login(vault: VaultServer, tmp_path: Path) -> Login:
    issuer = Issuer()
    policy = vault.policy("images", "secret/data/bakery/web")
    for duty in ("validate", "bake-private", "bake-public", "publish", "apply"):
        vault.jwt_role(f"bakery-{duty}", issuer, CLAIMS, *([policy] if duty == "bake-private" else []))
    found = vault.client.sys.list_enabled_audit_devices()["data"]["file/"]["options"]["file_path"]
    environment = {
        "VAULT_ADDR": vault.address,
        "VAULT_ID_TOKEN": issuer.token(vault.address, 3600, **CLAIMS),
        "BAKERY_CATALOG": str(tmp_path / "catalog"),
    }
    return Login(environment, Path(found))


@pytest.fixture
def served(base_disk: BaseDisk) -> Iterator[str]:
    """The definition with a real base behind its URL."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(base_disk.path.parent))

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{base_disk.path.name}"
        yield TINY.format(url=url, sha256=files.sha256(base_disk.path))
        server.shutdown()


@pytest.mark.guest
@pytest.mark.root
def test_a_green_run_bakes_tests_and_publishes_an_image(repository: Repository, login: Login, served: str) -> None:
    repository.write("packer/images/tiny.yaml", served)
    first = repository.run(**login.environment)
    steps = ["bake-private tiny", "verify tiny", "publish tiny"]
    assert first.jobs == dict.fromkeys([*CHECKS, *steps, "bake"], "PASS"), first.out
    record = Catalog(open_store(login.environment["BAKERY_CATALOG"])).newest("tiny", "x86_64")
    assert record
    assert (record.state, record.version, record.mode) == ("complete", "1.0.0", "chroot")
    assert Path(record.publications[0].places[0].id).is_file()
    roles = ["validate", "bake-private", "bake-public", "publish", "apply"]
    assert login.roles() == [f"bakery-{duty}" for duty in roles]
    assert CANARY not in first.out
    assert login.environment["VAULT_ID_TOKEN"] not in first.out

    second = repository.run(**login.environment)
    assert second.jobs == dict.fromkeys([*CHECKS, "nothing due", "bake"], "PASS"), second.out


def test_a_failed_bake_stops_its_image_and_is_seen_in_its_job(repository: Repository, login: Login) -> None:
    run = repository.run(**login.environment)
    assert run.jobs == {**dict.fromkeys([*CHECKS, "bake"], "PASS"), "bake-private tiny": "FAIL"}, run.out
    assert run.code == 0, "gitlab-ci-local hides it; GitLab does not (strategy: depend)"


def test_a_broken_template_stops_it_before_any_build(repository: Repository, login: Login) -> None:
    template = repository.root / "packer" / "templates" / "chroot" / "linux.pkr.hcl"
    repository.write("packer/templates/chroot/linux.pkr.hcl", template.read_text() + "\nbroken {\n")
    run = repository.run(**login.environment)
    assert run.code == 1
    assert run.jobs == {"vault-check": "PASS", "validate": "FAIL"}, run.out


@pytest.mark.parametrize(("wrong", "code"), [("VAULT_ID_TOKEN", 1), ("VAULT_ADDR", 75)])
def test_a_vault_that_refuses_or_is_away_stops_it_first(
    repository: Repository, login: Login, wrong: str, code: int
) -> None:
    other = {"VAULT_ID_TOKEN": Issuer().token("somebody else", **CLAIMS), "VAULT_ADDR": "http://127.0.0.1:1"}
    run = repository.run(**{**login.environment, wrong: other[wrong]})
    assert run.code == 1
    assert run.jobs == {"vault-check": "FAIL"}, run.out
    assert re.search(rf"vault-check +finished in .* FAIL {code} ", run.out), "75 is what GitLab tries again"


def test_a_repository_with_definitions_alone_includes_the_component(repository: Repository, login: Login) -> None:
    """As another project does, but for the address of the component: everything else comes with the runner image."""
    for folder in ("ansible", "cdktf", "packer/templates", "packer/base", "scripts", "tests", "tools"):
        shutil.rmtree(repository.root / folder)
    include = "include: [{local: /templates/bakery/template.yml, inputs: {images: tiny, dry_run: true}}]\n"
    repository.write(".gitlab-ci.yml", include)
    run = repository.run(**login.environment)
    assert run.jobs == dict.fromkeys(CHECKS, "PASS"), run.out
    assert "no complete version in line 1.0" in run.out
