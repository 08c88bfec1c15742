"""runner/enter.sh, which every job begins with: what a repository lacks is there, and AWS can be asked for a role."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "runner"
LINKED = (
    ".bakery/tools/bin/packer",
    ".venv/bin/bakery",
    "node_modules/.bin/cdktf",
    "cdktf.json",
    "cdktf/main.py",
    "cdktf/environments/demo.yaml",
)
FOUND_BY_THE_BAKERY = (
    "ansible/roles/nginx/tasks/main.yml",
    "packer/images/ours.yaml",
    "packer/templates/aws/linux.pkr.hcl",
    "packer/tests/test_base.py",
    "scripts/bakery/__init__.py",
)
SETTINGS = ".gitlab/bakery.env"
TOKEN = "header.canary.signature"
ROLES = {
    f"BAKERY_{name.upper()}_ROLE_ARN": f"arn:aws:iam::123456789012:role/{name}"
    for name in ("check", "bake", "verify", "publish", "push")
}
SHOW = 'env | grep ^AWS_; [ -z "$AWS_WEB_IDENTITY_TOKEN_FILE" ] || stat -c "mode=%a" "$AWS_WEB_IDENTITY_TOKEN_FILE"'


class Job:
    """A checkout without anything in it, and the runner image's copy of the project."""

    def __init__(self, folder: Path) -> None:
        self.toolbox, self.checkout, self.scratch = (folder / name for name in ("toolbox", "checkout", "tmp"))
        for place in (self.toolbox, self.checkout, self.scratch):
            place.mkdir()
        shutil.copytree(RUNNER, self.toolbox / "runner")
        for name in (*LINKED, *FOUND_BY_THE_BAKERY):
            self.write(self.toolbox / name, "ours")

    def write(self, file: Path, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    def run(
        self, line: str = "true", duty: str = "validate", settings: Mapping[str, str] | None = None, **env: str
    ) -> str:
        """What a line of a job's script says, with settings of the project and variables of the pipeline."""
        told = {"TMPDIR": str(self.scratch), **(settings or {})}
        self.write(self.checkout / SETTINGS, "# a remark\n\n" + "".join(f"{n}={v}\n" for n, v in told.items()))
        done = self.start(f'. "{self.toolbox}/runner/enter.sh" {duty}\n{line}', **env)
        assert done.returncode == 0, done.stderr
        self.notes = done.stderr
        return done.stdout

    def start(self, script: str, **env: str) -> "subprocess.CompletedProcess[str]":
        """As GitLab's runner does: variables are exported by the script itself, in the shell that goes on with it."""
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items())
        command = ["bash", "-eo", "pipefail", "-c", exports + script]
        given = {"PATH": "/usr/bin:/bin"}
        return subprocess.run(command, cwd=self.checkout, env=given, capture_output=True, text=True, check=False)

    def aws(self, duty: str = "validate", settings: Mapping[str, str] | None = None, **env: str) -> dict[str, str]:
        """The variables of AWS in a job, and the mode of the token's file."""
        told = self.run(f"({SHOW}) || true", duty, settings, AWS_ID_TOKEN=TOKEN, CI_JOB_ID="13", **env)
        return dict(line.split("=", 1) for line in told.splitlines())


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_a_repository_with_definitions_alone_gets_tools_and_the_cdktf_program(job: Job) -> None:
    job.write(job.checkout / "packer/images/theirs.yaml", "theirs")
    job.run()
    assert [name for name in LINKED if not (job.checkout / name).exists()] == []
    assert [name for name in FOUND_BY_THE_BAKERY if (job.checkout / name).exists()] == []
    assert job.run("command -v packer bakery").splitlines() == [
        f"{job.checkout}/.bakery/tools/bin/packer",
        f"{job.checkout}/.venv/bin/bakery",
    ]


def test_environments_of_its_own_are_not_touched(job: Job) -> None:
    job.write(job.checkout / "cdktf/environments/production.yaml", "theirs")
    job.run()
    assert [path.name for path in (job.checkout / "cdktf/environments").iterdir()] == ["production.yaml"]
    assert (job.checkout / "cdktf/main.py").read_text() == "ours"
    assert not (job.toolbox / "cdktf/environments/production.yaml").exists(), "nothing is written into the image"


def test_a_second_job_in_the_same_folder_finds_it_done(job: Job) -> None:
    job.run()
    job.run()


@pytest.mark.parametrize(
    ("duty", "role"),
    [
        ("validate", "check"),
        ("bake-private", "bake"),
        ("bake-public", "bake"),
        ("verify", "verify"),
        ("publish", "publish"),
    ],
)
def test_a_job_shows_aws_its_token_for_the_role_of_its_duty(job: Job, duty: str, role: str) -> None:
    found = job.aws(duty, ROLES)
    assert found.pop("AWS_WEB_IDENTITY_TOKEN_FILE").startswith(str(job.scratch))
    arn = f"arn:aws:iam::123456789012:role/{role}"
    assert found == {"AWS_ROLE_ARN": arn, "AWS_ROLE_SESSION_NAME": "gitlab-job-13", "mode": "600"}


def test_a_job_logs_in_to_vault_for_its_duty(job: Job) -> None:
    assert job.run('echo "$VAULT_ROLE"', "verify", VAULT_ROLE="bakery-publish") == "bakery-verify\n"


def test_a_job_signs_with_the_keys_of_vault_unless_the_commit_says_otherwise(job: Job) -> None:
    """A job finds no key of an earlier one on its machine, and a variable must not name one."""
    show, vault = 'echo "${BAKERY_SIGNING_KEY:-}"', {"VAULT_ADDR": "https://vault.example.com"}
    assert job.run(show, settings=vault, BAKERY_SIGNING_KEY="evil.pem") == "vault:transit\n"
    assert job.run(show, settings={**vault, "BAKERY_SIGNING_KEY": "vault:sign"}) == "vault:sign\n"
    assert job.run(show) == "\n", "without a Vault, the key is the workspace's"


def test_an_apply_has_what_vault_lends_or_the_machine_has(job: Job) -> None:
    assert job.aws("apply", ROLES) == {}


def test_the_token_is_in_its_file_alone_and_gone_after_the_job(job: Job) -> None:
    line = 'cat "$AWS_WEB_IDENTITY_TOKEN_FILE"; printf "\\n"; env'
    token, *environment = job.run(line, settings=ROLES, AWS_ID_TOKEN=TOKEN, CI_JOB_ID="13").splitlines()
    assert token == TOKEN
    assert not any(TOKEN in variable for variable in environment)
    assert list(job.scratch.iterdir()) == []


def test_without_a_role_the_machines_own_login_stays(job: Job) -> None:
    """A role of EC2, or one that a cluster gives its pods by the very same variables: those are settings then."""
    assert job.aws() == {}
    pod = {"AWS_ROLE_ARN": "arn:pod", "AWS_WEB_IDENTITY_TOKEN_FILE": str(RUNNER / "enter.sh")}
    check = {"BAKERY_CHECK_ROLE_ARN": ROLES["BAKERY_CHECK_ROLE_ARN"]}
    assert job.aws("publish", {**check, **pod}).items() >= pod.items()


class TestVariables:
    """A variable of a pipeline, a trigger or a schedule changes nothing that a job runs or asks."""

    EVIL: ClassVar[dict[str, str]] = {
        "BAKERY_RUNNER_IMAGE": "evil",
        "BAKERY_TOOLBOX": "evil",
        "BAKERY_CATALOG": "s3://evil",
        "AWS_ENDPOINT_URL": "http://evil",
        "AWS_ENDPOINT_URL_STS": "http://evil",
        "AWS_CA_BUNDLE": "evil",
        "AWS_ROLE_ARN": "arn:evil",
        "AWS_CONFIG_FILE": "evil",
        "BAKERY_CHECK_ROLE_ARN": "arn:evil",
        "VAULT_ADDR": "http://evil",
        "VAULT_CACERT": "evil",
        "VAULT_SKIP_VERIFY": "1",
        "VAULT_ROLE": "evil",
        "BASH_ENV": "evil",
        "ENV": "evil",
        "PROMPT_COMMAND": "evil",
        "PS4": "evil",
        "CDPATH": "/evil",
        "IFS": "/",
        "PATH": "/evil",
        "HOME": "/evil",
        "TMPDIR": "/evil",
        "PWD": "/evil",
        "LD_PRELOAD": "",
        "LD_LIBRARY_PATH": "x",
        "PYTHONPATH": "evil",
        "PYTHONSTARTUP": "evil",
        "PYTHONHOME": "",
        "PIP_INDEX_URL": "http://evil",
        "TF_CLI_CONFIG_FILE": "evil",
        "TF_CLI_ARGS": "evil",
        "TF_PLUGIN_CACHE_DIR": "evil",
        "NODE_OPTIONS": "evil",
        "ANSIBLE_CONFIG": "evil",
        "ANSIBLE_LIBRARY": "evil",
        "PACKER_PLUGIN_PATH": "evil",
        "PKR_VAR_user": "evil",
        "GIT_SSH_COMMAND": "evil",
        "HTTPS_PROXY": "http://evil",
        "https_proxy": "http://evil",
        "SSL_CERT_FILE": "evil",
        "_toolbox": "/evil",
        "_duty": "publish",
        "_role": "evil",
        "_settings": "/evil",
        "_kept": " EVIL ",
        "EVIL": "evil",
        "_folder": "/evil",
        "_line": "evil",
        "_name": "evil",
        "_part": "evil",
        "_ignored": "evil",
    }

    def test_nothing_of_them_is_left(self, job: Job) -> None:
        environment = job.run("env -0 | tr '\\0\\n' '\\n_'; printf 'PWD=%s\\n' \"$(pwd)\"", settings={}, **self.EVIL)
        assert "evil" not in environment.lower()
        found = dict(line.split("=", 1) for line in environment.splitlines())
        assert found["PATH"].split(":")[:2] == [f"{job.checkout}/.venv/bin", f"{job.checkout}/.bakery/tools/bin"]
        assert found["PYTHONPATH"] == f"{job.checkout}/scripts:{job.checkout}/cdktf"
        assert found["VAULT_ROLE"] == "bakery-validate"
        assert found["TMPDIR"] == str(job.scratch), "the settings of the commit are read"

    def test_settings_of_the_commit_beat_them(self, job: Job) -> None:
        settings = {"VAULT_ADDR": "https://vault.example.com", "BAKERY_CATALOG": "s3://ours/catalog=1 $(id)"}
        told = job.run('echo "$VAULT_ADDR $BAKERY_CATALOG"', settings=settings, **self.EVIL)
        assert told == "https://vault.example.com s3://ours/catalog=1 $(id)\n"

    def test_ignored_settings_are_named(self, job: Job) -> None:
        job.run(BAKERY_CATALOG="s3://old", VAULT_ADDR="http://old", CI_COMMIT_SHA="0", GIT_DEPTH="1")
        assert job.notes == (
            "note: jobs read .gitlab/bakery.env, and ignore these variables of GitLab: BAKERY_CATALOG VAULT_ADDR\n"
        )
        job.run()
        assert job.notes == ""

    def test_the_roles_of_aws_are_those_of_the_commit(self, job: Job) -> None:
        assert job.aws("publish", ROLES, **self.EVIL)["AWS_ROLE_ARN"] == ROLES["BAKERY_PUBLISH_ROLE_ARN"]
        assert job.aws("publish", {}, **{**self.EVIL, "BAKERY_PUBLISH_ROLE_ARN": "arn:evil"}) == {}

    def test_names_that_records_keep_are_left(self, job: Job) -> None:
        """Otherwise a record would name this machine instead of the job, and no code would say so."""
        code = "".join(file.read_text() for file in (ROOT / "scripts" / "bakery").rglob("*.py"))
        read = {name: f"https://gitlab.example.com/{name}" for name in re.findall(r"\"(CI_[A-Z_]+)\"", code)}
        assert {"CI_JOB_URL", "CI_PROJECT_URL"} <= read.keys()
        left = job.run("env | grep ^CI_", "publish", {}, **read).splitlines()
        assert sorted(left) == sorted(f"{name}={url}" for name, url in read.items())

    def test_what_is_no_setting_stops_the_job(self, job: Job) -> None:
        job.write(job.checkout / SETTINGS, "VAULT_ADDR https://vault.example.com\n")
        done = job.start(f'. "{job.toolbox}/runner/enter.sh" validate; echo went on')
        assert (done.returncode, done.stdout) == (64, "")
        assert done.stderr == "error: .gitlab/bakery.env: not NAME=VALUE: VAULT_ADDR https://vault.example.com\n"

    def test_the_job_that_builds_the_runner_image_does_the_same(self, job: Job) -> None:
        job.write(job.checkout / SETTINGS, "BAKERY_RUNNER_REPOSITORY=registry.example.com/ours\n")
        done = job.start(f'. "{job.toolbox}/runner/settings.sh"; env', **self.EVIL, CI_REGISTRY_PASSWORD="word")
        assert (done.returncode, "evil" in done.stdout.lower()) == (0, False)
        assert "BAKERY_RUNNER_REPOSITORY=registry.example.com/ours\n" in done.stdout
        assert "CI_REGISTRY_PASSWORD=word\n" in done.stdout
        assert "CI_REGISTRY_PASSWORD" not in job.run("env", CI_REGISTRY_PASSWORD="word"), "for that job alone"


def test_a_note_of_what_is_new_is_printed_and_kept(job: Job) -> None:
    """And a first version, which bakery cannot compare, leaves none."""
    job.write(job.toolbox / ".venv" / "bin" / "bakery", '#!/bin/sh\n[ "$2" = web ] && echo "## $*"\n')
    assert "What is new in web\n## compare web --markdown\n" in job.run("note web")
    assert (job.checkout / "note-web.md").read_text() == "## compare web --markdown\n"
    assert job.run("note base") == ""
    assert not (job.checkout / "note-base.md").exists()
