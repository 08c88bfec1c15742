"""The GitLab pipeline: which jobs each trigger starts, and what stops a run before anything is baked."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from ruamel.yaml import YAML

from bakery.demo.stand_ins.vault import VaultServer
from doubles.aws.client import running
from doubles.vault import Issuer
from integration.pipelines import (
    BRANCH_CHECKS,
    CHECKS,
    CLAIMS,
    ROOT,
    RUNNER_IMAGE,
    Login,
    Repository,
    check_out,
    log_in,
    vault_with_secrets,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return check_out(tmp_path / "project")


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
        ],
    )
    def test_jobs(self, repository: Repository, variables: dict[str, str], bakes: bool) -> None:
        assert sorted(repository.jobs(**variables)) == sorted([*CHECKS, "bake"] if bakes else BRANCH_CHECKS)

    @pytest.mark.parametrize(
        ("variables", "refreshes"),
        [
            ({"CI_COMMIT_REF_PROTECTED": "true"}, True),
            ({"CI_COMMIT_REF_PROTECTED": "false"}, False),
            ({"CI_COMMIT_REF_PROTECTED": "true", "CI_COMMIT_BRANCH": ""}, False),
        ],
    )
    def test_a_schedule_refreshes_retires_sweeps_and_audits(
        self, repository: Repository, variables: dict[str, str], refreshes: bool
    ) -> None:
        found = repository.jobs(CI_PIPELINE_SOURCE="schedule", **variables)
        scheduled = {"refresh", "retire", "sweep", "audit"}
        assert scheduled & {*found} == (scheduled if refreshes else set())

    @pytest.mark.parametrize("source", ["push", "web", "api", "trigger"])
    def test_a_dry_run_bakes_nothing(self, repository: Repository, source: str) -> None:
        variables = {"CI_PIPELINE_SOURCE": source, "CI_COMMIT_REF_PROTECTED": "true"}
        assert repository.jobs("--input", "dry_run=true", **variables) == CHECKS

    def test_the_runner_image_is_built_when_it_is_asked_for(self, repository: Repository) -> None:
        asked = ("--input", "build_runner=true")
        web = {"CI_PIPELINE_SOURCE": "web"}
        found = repository.jobs(*asked, **web, CI_COMMIT_REF_PROTECTED="true")
        assert sorted(found) == sorted([*CHECKS, "bake", "runner-image"])
        assert repository.jobs(*asked, **web, CI_COMMIT_REF_PROTECTED="false") == BRANCH_CHECKS

    @pytest.mark.parametrize(
        ("diff", "source", "shown"),
        [("true", "merge_request_event", True), ("false", "merge_request_event", False), ("true", "push", False)],
    )
    def test_a_merge_request_shows_a_diff_if_the_project_wants_it(
        self, repository: Repository, diff: str, source: str, shown: bool
    ) -> None:
        text = (repository.root / ".gitlab-ci.yml").read_text()
        repository.write(
            ".gitlab-ci.yml", text.replace("      vault_audience:", f"      diff: {diff}\n      vault_audience:")
        )
        found = repository.jobs(CI_PIPELINE_SOURCE=source, CI_COMMIT_REF_PROTECTED="false")
        assert ("diff" in found) is shown

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
    with vault_with_secrets(tmp_path_factory.mktemp("vault")) as server:
        yield server


@pytest.fixture
def login(vault: VaultServer, tmp_path: Path) -> Login:
    return log_in(vault, str(tmp_path / "catalog"))


STOPPED_AT_THE_BAKE = {
    **dict.fromkeys([*CHECKS, "bake", "vault-check publish"], "PASS"),
    "bake-private ground": "FAIL",
}


def test_a_failed_bake_stops_what_is_built_on_it_and_is_seen_in_its_job(repository: Repository, login: Login) -> None:
    run = repository.run(settings=login.settings, **login.environment)
    assert run.jobs == STOPPED_AT_THE_BAKE, run.out
    assert run.code == 0, "gitlab-ci-local hides it; GitLab does not (strategy: depend)"


def test_a_broken_template_stops_it_before_any_build(repository: Repository, login: Login) -> None:
    template = repository.root / "packer" / "templates" / "chroot" / "linux.pkr.hcl"
    repository.write("packer/templates/chroot/linux.pkr.hcl", template.read_text() + "\nbroken {\n")
    run = repository.run(settings=login.settings, **login.environment)
    assert run.code == 1
    assert run.jobs == {"vault-check": "PASS", "validate": "FAIL"}, run.out


@pytest.mark.parametrize(("wrong", "code"), [("VAULT_ID_TOKEN", 1), ("VAULT_ADDR", 75)])
def test_a_vault_that_refuses_or_is_away_stops_it_first(
    repository: Repository, login: Login, wrong: str, code: int
) -> None:
    other = {"VAULT_ID_TOKEN": Issuer().token("somebody else", **CLAIMS), "VAULT_ADDR": "http://127.0.0.1:1"}
    settings, environment = (
        {**given, wrong: other[wrong]} if wrong in given else given for given in (login.settings, login.environment)
    )
    run = repository.run(settings=settings, **environment)
    assert run.code == 1
    assert run.jobs == {"vault-check": "FAIL"}, run.out
    assert re.search(rf"vault-check +finished in .* FAIL {code} ", run.out), "75 is what GitLab tries again"


def test_a_repository_with_definitions_alone_includes_the_component(repository: Repository, login: Login) -> None:
    """As another project does, but for the address of the component: everything else comes with the runner image."""
    for folder in ("ansible", "cdktf", "packer/templates", "packer/base", "scripts", "tests", "tools"):
        shutil.rmtree(repository.root / folder)
    inputs = {
        "images": "tiny",
        "dry_run": True,
        "rebuild": True,
        "fail_on": "difference",
        "runner_image": RUNNER_IMAGE,
        "vault_audience": "https://vault.example.com",
    }
    include = {"local": "/templates/bakery/template.yml", "inputs": inputs}
    repository.write(".gitlab-ci.yml", json.dumps({"include": [include]}))
    run = repository.run(settings=login.settings, **login.environment)
    assert run.jobs == dict.fromkeys(CHECKS, "PASS"), run.out
    assert "never baked" in run.out
    assert "--fail-on difference" in planned_pipeline(repository).read_text()


def planned_pipeline(repository: Repository) -> Path:
    (file,) = (repository.root / ".gitlab-ci-local" / "artifacts").glob("plan/bakery-pipeline.yml")
    return file


def test_checks_read_the_catalog_in_the_role_that_their_token_gets(repository: Repository, vault: VaultServer) -> None:
    """On a machine without any login at AWS."""
    role = "arn:aws:iam::123456789012:role/bakery-prod-check"
    # Packer's plugins listen on sockets there, whose paths have 107 characters at most: pytest's own are too long.
    with running() as aws, TemporaryDirectory() as scratch:
        aws.client("s3", "us-east-1").create_bucket(Bucket="catalog")
        before = len(aws.actions())
        settings = {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "TMPDIR": scratch,
        }
        login = log_in(vault, "s3://catalog/bakery")
        settings |= login.settings
        environment = {"AWS_ID_TOKEN": "header.payload.signature", **login.environment}
        without = repository.run("--input", "dry_run=true", settings=settings, **environment)
        assert without.jobs == {"vault-check": "PASS", "validate": "PASS", "plan": "FAIL"}, without.out
        settings["BAKERY_CHECK_ROLE_ARN"] = role
        run = repository.run("--input", "dry_run=true", settings=settings, **environment)
        assert run.jobs == dict.fromkeys(CHECKS, "PASS"), run.out
        assert aws.actions()[before] == "AssumeRoleWithWebIdentity"
        assert list(Path(scratch).glob("tmp.*")) == [], "no token stays on the machine"


# What our scripts call, and gitlab-ci-local itself does not.
PROGRAMS = ("bakery", "cut", "date", "dirname", "getent", "id", "ln", "node", "packer", "python", "python3")


def test_variables_of_a_pipeline_run_nothing_and_lead_nowhere(
    repository: Repository, login: Login, tmp_path: Path
) -> None:
    """As of somebody who may merge and start a pipeline, but has no commit of his own in it."""
    evil, marker = tmp_path / "evil", tmp_path / "ran"
    line = f'echo "$0" >>{marker}\n'
    scripts = {**{f"bin/{name}": f"#!/bin/sh\n{line}" for name in PROGRAMS}, "runner/enter.sh": line, "enter.sh": line}
    for name, text in {**scripts, "python/sitecustomize.py": f"open({str(marker)!r}, 'a').write('python')\n"}.items():
        (evil / name).parent.mkdir(parents=True, exist_ok=True)
        (evil / name).write_text(text)
        (evil / name).chmod(0o755)
    catalog = tmp_path / "evil-catalog"
    variables = {
        "PATH": f"{evil}/bin:/usr/bin:/bin",
        "BAKERY_TOOLBOX": str(evil),
        "PYTHONPATH": f"{evil}/python",
        "BAKERY_RUNNER_IMAGE": "docker.io/evil/runner:1",
        "CI_REGISTRY_IMAGE": "docker.io/evil",
        "VAULT_ADDR": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "BAKERY_CATALOG": str(catalog),
        "PYTHONSTARTUP": f"{evil}/python/sitecustomize.py",
        "NODE_OPTIONS": f"--require {evil}/enter.sh",
        "HTTPS_PROXY": "http://127.0.0.1:1",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "HOME": str(evil),
        "VAULT_ROLE": "evil",
        "PACKER_PLUGIN_PATH": str(evil),
        "TF_CLI_CONFIG_FILE": str(evil),
        "ANSIBLE_CONFIG": str(evil),
        "rebuild": "--evil",
        "fail_on": "--evil",
    }
    options = [word for name, value in variables.items() for word in ("--variable", f"{name}={value}")]
    run = repository.run(*options, settings=login.settings, **login.environment)
    assert run.jobs == STOPPED_AT_THE_BAKE, run.out
    assert not marker.exists(), marker.read_text()
    assert not catalog.exists()
    file = planned_pipeline(repository)
    assert "evil" not in file.read_text()
    child = YAML(typ="safe").load(file)
    committed = re.search(r"runner_image: (\S+)", (repository.root / ".gitlab-ci.yml").read_text())
    assert committed
    assert child["default"]["image"] == committed[1]
