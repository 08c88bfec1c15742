"""The GitLab files: valid by GitLab's own schema, and of one mind with each other and with the code."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from ruamel.yaml import YAML

from bakery.clouds import CLOUDS
from bakery.clouds.definitions import Definition
from bakery.engine import gitlab as pipeline
from bakery.engine.plan import Action, Plan
from bakery.engine.vault_check import Duty
from bakery.host.errors import ExitCode
from doubles.programs import Programs

ROOT = Path(__file__).parents[2]
FILES = (".gitlab-ci.yml", "templates/bakery/template.yml")


def parts(name: str) -> tuple[str, str]:
    """The header with the inputs, and the jobs: two documents, which the schema's checker does not read as one."""
    header, _, body = (ROOT / name).read_text().partition("\n---\n")
    return header, body


def load(text: str) -> dict[str, Any]:
    yaml = YAML(typ="safe")
    yaml.constructor.add_constructor("!reference", lambda loader, node: loader.construct_sequence(node))
    found: dict[str, Any] = yaml.load(text)
    return found


def checked(text: str, folder: Path) -> str:
    """What GitLab's schema has against it; empty if nothing."""
    (folder / "pipeline.yml").write_text(text)
    checker = Path(sys.executable).parent / "check-jsonschema"
    command: list[str | Path] = [
        checker,
        "--builtin-schema",
        "vendor.gitlab-ci",
        "--data-transform",
        "gitlab-ci",
        folder / "pipeline.yml",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def child() -> dict[str, Any]:
    """A generated pipeline with a job of each kind."""
    text = {
        "name": "web",
        "description": "An image",
        "os": "debian-12",
        "arch": "x86_64",
        "version": "1.0",
        "base": {
            "qemu": {"debootstrap": {"suite": "bookworm"}},
            "aws": {"ami": {"name": "debian-12-*", "owner": "136693071363"}},
        },
        "targets": ["local", "aws"],
        "distribution": {"aws": {"regions": ["eu-central-1"]}},
    }
    image = Definition.model_validate_json(json.dumps(text))
    plan = Plan((Action("web", "x86_64", "bake", "because"),))
    return pipeline.pipeline(plan, {"web": image}, pipeline.Settings("runner:1"))


@pytest.mark.parametrize("name", FILES)
def test_files_fit_the_schema(name: str, tmp_path: Path) -> None:
    for part in parts(name):
        assert checked(part, tmp_path) == ""


def test_generated_pipelines_fit_the_schema(tmp_path: Path) -> None:
    assert checked(pipeline.render(child()), tmp_path) == ""
    nothing = pipeline.pipeline(Plan(()), {}, pipeline.Settings("runner:1"))
    assert checked(pipeline.render(nothing), tmp_path) == ""


@pytest.mark.parametrize(
    ("right", "wrong"), [("max: 2", "max: 3"), ("aud:", "audience:"), ("when: always", "when: odd")]
)
def test_the_checker_sees_what_is_wrong(right: str, wrong: str, tmp_path: Path) -> None:
    text = pipeline.render(child())
    assert right in text
    assert checked(text.replace(right, wrong), tmp_path)


def test_the_root_passes_on_each_input_it_shares_with_the_component() -> None:
    root, component = (load(parts(name)[0])["spec"]["inputs"] for name in FILES)
    (include,) = load(parts(FILES[0])[1])["include"]
    assert include["inputs"] == {name: f"$[[ inputs.{name} ]]" for name in root if name in component}
    assert set(include["inputs"]) == {"images", "target", "channel", "dry_run", "rebuild", "stacks"}
    for name in ("images", "target", "dry_run", "rebuild", "stacks"):
        assert root[name] == component[name]


def test_targets_are_those_of_definitions() -> None:
    component = load(parts(FILES[1])[0])["spec"]["inputs"]
    assert component["target"]["options"] == ["all", *CLOUDS]


def test_jobs_try_again_what_the_bakery_calls_so() -> None:
    jobs = load(parts(FILES[1])[1])
    assert jobs[".bakery"]["retry"] == pipeline.RETRY
    assert pipeline.RETRY["exit_codes"] == [ExitCode.TRY_AGAIN]


def test_every_job_logs_in_to_vault_for_one_of_the_duties() -> None:
    jobs = load(parts(FILES[1])[1])
    assert jobs[".bakery"]["variables"] == {"VAULT_ROLE": "bakery-validate"}
    own = {name: job["variables"]["VAULT_ROLE"] for name, job in jobs.items() if "variables" in job}
    del own[".bakery"]
    assert own == {"refresh": "bakery-publish"}, "checks have the least role; a refresh asks targets"
    made = {job["variables"]["VAULT_ROLE"] for job in child().values() if "variables" in job}
    assert made | {"bakery-validate"} == {f"bakery-{duty}" for duty in get_args(Duty)}
    looped = re.search(r"for duty in (.*);", jobs["vault-check"]["script"][1])
    assert looped
    assert ["validate", *looped[1].split()] == list(get_args(Duty))


def test_the_runner_image_has_a_duty_of_its_own() -> None:
    job = load(parts(FILES[0])[1])["runner-image"]
    assert job["variables"] == {"VAULT_ROLE": "bakery-runner-image"}
    assert job["id_tokens"] == load(parts(FILES[1])[1])[".bakery"]["id_tokens"]


def test_a_schedule_refreshes_before_it_plans() -> None:
    jobs = load(parts(FILES[1])[1])
    refresh = jobs["refresh"]
    assert refresh["rules"] == [
        {"if": '$CI_PIPELINE_SOURCE == "schedule" && $CI_COMMIT_BRANCH && $CI_COMMIT_REF_PROTECTED == "true"'}
    ]
    assert refresh["allow_failure"] is True, "one archive must not hold up all images"
    assert refresh["tags"] == [pipeline.RUNNERS["bake-private"]]
    assert {"job": "refresh", "optional": True} in jobs["plan"]["needs"]


def test_a_merge_request_shows_what_an_apply_would_do_and_applies_nothing() -> None:
    jobs = load(parts(FILES[1])[1])
    assert jobs["diff"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event" && $BAKERY_ENVIRONMENT'}]
    assert jobs["diff"]["artifacts"]["reports"] == {"terraform": "terraform.json"}
    assert jobs["diff"]["script"][0].endswith("bakery diff --report terraform.json $[[ inputs.stacks ]]")
    assert not any("bakery apply" in line for job in jobs.values() if "script" in job for line in job["script"])


def test_what_a_merge_request_shows_is_what_a_pipeline_applies_unless_it_is_told_otherwise() -> None:
    stacks = load(parts(FILES[1])[0])["spec"]["inputs"]["stacks"]
    (line,) = child()["apply images"]["script"]
    assert f"bakery apply {stacks['default']} " in line
    for good in ("", "images", "images consumer-222222222222"):
        assert re.search(stacks["regex"], good)
    for bad in ("images; rm", "--allow-destroy", "images  vault", "$(id)"):
        assert not re.search(stacks["regex"], bad)


def test_every_job_that_reaches_aws_has_a_token_for_it() -> None:
    """The same audience everywhere, which the roles of the runner stack want."""
    root, component = (load(parts(name)[1]) for name in FILES)
    tokens = {"VAULT_ID_TOKEN": {"aud": "$VAULT_ADDR"}, "AWS_ID_TOKEN": {"aud": "sts.amazonaws.com"}}
    assert component[".bakery"]["id_tokens"] == child()["default"]["id_tokens"] == tokens
    assert root["runner-image"]["id_tokens"] == tokens
    jobs = [job for job in child().values() if isinstance(job, dict) and "script" in job]
    assert jobs
    assert not any("id_tokens" in job for job in jobs), "one of its own would replace both"


def test_nothing_needs_a_paid_tier() -> None:
    texts = [*(parts(name)[1] for name in FILES), pipeline.render(child())]
    assert not any("secrets:" in text for text in texts)


class Build:
    """The job `runner-image`, with a stand-in for buildah that keeps what it pushes where."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.programs = Programs(folder / "bin", monkeypatch)
        login = '[ "$1" != login ] || { cat >>passwords; touch "$REGISTRY_AUTH_FILE"; }'
        digest = "case $* in *ecr*) echo sha256:ecr;; *) echo sha256:0123;; esac"
        push = f'[ "$1 $2" != "push --digestfile" ] || {{ {digest} >"$3"; }}'
        self.programs.shell("buildah", f"{login}\n{push}")
        for name in ("REGISTRY", "REGISTRY_IMAGE", "REGISTRY_USER", "REGISTRY_PASSWORD"):
            monkeypatch.setenv(f"CI_{name}", name.lower())
        monkeypatch.setenv("CI_COMMIT_SHORT_SHA", "0123abcd")
        monkeypatch.setenv("CI_JOB_ID", "4711")
        monkeypatch.delenv("VAULT_ADDR", raising=False)
        monkeypatch.setenv("TMPDIR", str(folder))

    def __call__(self) -> list[str]:
        """What was pushed, in order."""
        subprocess.run([ROOT / "runner" / "build.sh"], cwd=self.folder, check=True)
        return [call.split()[-1] for call in self.programs.calls("buildah") if call.startswith("push")]

    @property
    def handed_on(self) -> str:
        return (self.folder / "runner.env").read_text()


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    return Build(tmp_path, monkeypatch)


def test_the_runner_image_is_handed_on_by_digest_and_the_password_in_no_argument(build: Build) -> None:
    pushed = build()
    assert build.handed_on == "BAKERY_RUNNER_IMAGE=registry_image/runner@sha256:0123\n"
    assert pushed == ["registry_image/runner:0123abcd-4711", "docker://registry_image/runner:latest"]
    assert [call.split()[0] for call in build.programs.calls("buildah")] == ["login", "build", "push", "push"]
    assert not any("registry_password" in call for call in build.programs.calls("buildah"))
    assert (build.folder / "passwords").read_text() == "registry_password\n"
    assert not list(build.folder.glob("**/auth.json")), "the login ends with the job"


def test_the_runner_stacks_repository_gets_the_tag_that_never_repeats_alone(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would refuse `latest` the second time."""
    ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/bakery-prod-runner"
    monkeypatch.setenv("BAKERY_RUNNER_REPOSITORY", ecr)
    monkeypatch.setenv("BAKERY_BAKE_ROLE_ARN", "arn:aws:iam::123456789012:role/bake")
    monkeypatch.setenv("AWS_ID_TOKEN", "token")
    login = base64.b64encode(b"AWS:ecr_password").decode()
    build.programs.shell("curl", f'cat >>asked; echo \'{{"authorizationToken": "{login}"}}\'')
    assert [place for place in build() if "ecr" in place] == [f"docker://{ecr}:0123abcd-4711"]
    assert build.handed_on == f"BAKERY_RUNNER_IMAGE={ecr}@sha256:ecr\n"
    assert (build.folder / "passwords").read_text() == "registry_password\necr_password\n"
