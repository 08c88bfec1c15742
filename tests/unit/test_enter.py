"""runner/enter.sh, which every job begins with: what a repository lacks is there, and AWS can be asked for a role."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "runner" / "enter.sh"
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
TOKEN = "header.canary.signature"
CHECK, BAKE = "arn:aws:iam::123456789012:role/check", "arn:aws:iam::123456789012:role/bake"
ROLES = {"BAKERY_CHECK_ROLE_ARN": CHECK, "BAKERY_BAKE_ROLE_ARN": BAKE}
SHOW = 'env | grep ^AWS_; [ -z "$AWS_WEB_IDENTITY_TOKEN_FILE" ] || stat -c "mode=%a" "$AWS_WEB_IDENTITY_TOKEN_FILE"'


class Job:
    """A checkout without anything in it, and the runner image's copy of the project."""

    def __init__(self, folder: Path) -> None:
        self.toolbox, self.checkout, self.scratch = (folder / name for name in ("toolbox", "checkout", "tmp"))
        for place in (self.toolbox, self.checkout, self.scratch):
            place.mkdir()
        for name in (*LINKED, *FOUND_BY_THE_BAKERY):
            self.write(self.toolbox / name, "ours")

    def write(self, file: Path, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    def run(self, line: str = "true", **env: str) -> str:
        """What a line of a job's script says."""
        given = {"PATH": "/usr/bin:/bin", "BAKERY_TOOLBOX": str(self.toolbox), "TMPDIR": str(self.scratch), **env}
        command = ["bash", "-eo", "pipefail", "-c", f'. "{SCRIPT}"\n{line}']
        done = subprocess.run(command, cwd=self.checkout, env=given, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def aws(self, **env: str) -> dict[str, str]:
        """The variables of AWS in a job that has both roles at hand, and the mode of the token's file."""
        told = self.run(f"({SHOW}) || true", AWS_ID_TOKEN=TOKEN, CI_JOB_ID="13", **env)
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


@pytest.mark.parametrize(("duty", "role"), [("validate", CHECK), ("bake-public", BAKE), ("publish", BAKE)])
def test_a_job_shows_aws_its_token_for_the_role_of_its_duty(job: Job, duty: str, role: str) -> None:
    found = job.aws(VAULT_ROLE=f"bakery-{duty}", **ROLES)
    assert found.pop("AWS_WEB_IDENTITY_TOKEN_FILE").startswith(str(job.scratch))
    assert found == {"AWS_ROLE_ARN": role, "AWS_ROLE_SESSION_NAME": "gitlab-job-13", "mode": "600"}


def test_an_apply_has_what_vault_lends_or_the_machine_has(job: Job) -> None:
    assert job.aws(VAULT_ROLE="bakery-apply", **ROLES) == {}


def test_the_token_is_in_its_file_alone_and_gone_after_the_job(job: Job) -> None:
    line = 'cat "$AWS_WEB_IDENTITY_TOKEN_FILE"; printf "\\n"; env'
    token, *environment = job.run(line, AWS_ID_TOKEN=TOKEN, CI_JOB_ID="13", **ROLES).splitlines()
    assert token == TOKEN
    assert not any(TOKEN in variable for variable in environment)
    assert list(job.scratch.iterdir()) == []


def test_without_a_role_the_machines_own_login_stays(job: Job) -> None:
    """A role of EC2, or one that a cluster gives its pods by the very same variables."""
    assert job.aws() == {}
    pod = {"AWS_ROLE_ARN": "arn:pod", "AWS_WEB_IDENTITY_TOKEN_FILE": str(SCRIPT)}
    assert job.aws(VAULT_ROLE="bakery-publish", BAKERY_CHECK_ROLE_ARN=CHECK, **pod).items() >= pod.items()


def test_a_note_of_what_is_new_is_printed_and_kept(job: Job) -> None:
    """And a first version, which bakery cannot compare, leaves none."""
    job.write(job.toolbox / ".venv" / "bin" / "bakery", '#!/bin/sh\n[ "$2" = web ] && echo "## $*"\n')
    assert "What is new in web\n## compare web --markdown\n" in job.run("note web")
    assert (job.checkout / "note-web.md").read_text() == "## compare web --markdown\n"
    assert job.run("note base") == ""
    assert not (job.checkout / "note-base.md").exists()
