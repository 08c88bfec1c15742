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
from bakery.engine.duties import OF_AN_IMAGE, Duty, environment_of
from bakery.engine.plan import Action, Plan
from bakery.host.errors import ExitCode
from doubles.programs import Programs

ROOT = Path(__file__).parents[2]
FILES = (".gitlab-ci.yml", "templates/bakery/template.yml")
IMAGE = f"registry.example.com/runner@sha256:{'0' * 64}"
SETTINGS = pipeline.Settings(IMAGE, "https://vault.example.com", "prod")
PINNED = re.compile(r"\S+@sha256:[0-9a-f]{64}")


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
    return pipeline.pipeline(plan, {"web": image}, SETTINGS)


def jobs_of(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: job for name, job in document.items() if isinstance(job, dict) and "script" in job}


@pytest.mark.parametrize("name", FILES)
def test_files_fit_the_schema(name: str, tmp_path: Path) -> None:
    for part in parts(name):
        assert checked(part, tmp_path) == ""


def test_generated_pipelines_fit_the_schema(tmp_path: Path) -> None:
    assert checked(pipeline.render(child()), tmp_path) == ""
    nothing = pipeline.pipeline(Plan(()), {}, SETTINGS)
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
    shared = {"images", "target", "channel", "dry_run", "rebuild", "fail_on", "stacks"}
    assert {name: f"$[[ inputs.{name} ]]" for name in shared} == {
        name: value for name, value in include["inputs"].items() if name in root
    }
    for name in shared - {"channel"}:
        assert root[name] == component[name]
    literal = {name: value for name, value in include["inputs"].items() if name not in root}
    assert set(literal) == {"runner_image", "vault_audience"}, "who starts a pipeline chooses neither"
    for name, value in literal.items():
        assert re.search(component[name]["regex"], value)
        assert "default" not in component[name]


def test_every_image_is_named_by_its_digest() -> None:
    """A tag is decided by whoever may push it, and a variable by whoever starts the pipeline."""
    component = load(parts(FILES[1])[0])["spec"]["inputs"]["runner_image"]
    for wrong in ("$CI_REGISTRY_IMAGE/runner:latest", "registry.example.com/runner:1", f"{IMAGE}0", f"$X{IMAGE}"):
        assert not re.search(component["regex"], wrong)
    assert re.search(component["regex"], IMAGE)
    found = [job["image"] for name in FILES for job in load(parts(name)[1]).values() if "image" in job]
    assert sorted(found)[0] == "$[[ inputs.runner_image ]]"
    assert all(PINNED.fullmatch(image) for image in sorted(found)[1:])
    (base,) = re.findall(r"^ARG BASE=(.*)$", (ROOT / "runner" / "Dockerfile").read_text(), re.MULTILINE)
    assert PINNED.fullmatch(base)


VARIABLE = re.compile(r"\$(?!\[\[)\{?[A-Za-z_]\w*")
SET_IN_THE_SCRIPT = {"${rebuild", "${fail_on"}  # variables that the same script sets
DECIDES_WHAT_RUNS = {"image", "id_tokens", "environment", "tags", "before_script", "script", "variables", "services"}


def test_no_variable_decides_what_a_job_runs_or_may() -> None:
    """A pipeline variable beats all others, those that GitLab defines too. `rules` may only leave jobs out."""
    for name in FILES:
        for job, keys in load(parts(name)[1]).items():
            texts = (
                {key: json.dumps(keys[key]) for key in DECIDES_WHAT_RUNS & set(keys)} if isinstance(keys, dict) else {}
            )
            for key, text in texts.items():
                assert set(VARIABLE.findall(text)) <= SET_IN_THE_SCRIPT, f"{name}: {job}.{key}"


def test_no_job_hands_variables_on() -> None:
    """GitLab lets those of a dotenv report beat all others."""
    for name in FILES:
        assert "dotenv" not in parts(name)[1]
    bake = load(parts(FILES[1])[1])["bake"]
    assert bake["trigger"]["forward"] == {"pipeline_variables": False, "yaml_variables": False}


def test_every_job_with_a_token_enters_first() -> None:
    jobs = load(parts(FILES[1])[1])
    for name, job in jobs.items():
        if "id_tokens" in job:
            duty = job["id_tokens"]["VAULT_ID_TOKEN"]["aud"].rpartition("/")[2]
            assert job["before_script"] == [f". /opt/bakery/runner/enter.sh {duty}"], name
    assert load(parts(FILES[0])[1])["runner-image"]["before_script"] == [". ./runner/settings.sh"]


def test_targets_are_those_of_definitions() -> None:
    component = load(parts(FILES[1])[0])["spec"]["inputs"]
    assert component["target"]["options"] == ["all", *CLOUDS]


def test_jobs_try_again_what_the_bakery_calls_so() -> None:
    jobs = load(parts(FILES[1])[1])
    assert jobs[".bakery"]["retry"] == pipeline.RETRY
    assert pipeline.RETRY["exit_codes"] == [ExitCode.TRY_AGAIN]


def claims(job: dict[str, Any]) -> tuple[str, str]:
    """The duty by audience, and the environment; both tokens are of one duty."""
    duties = {token["aud"].rpartition("/")[2] for token in job["id_tokens"].values()}
    (duty,) = duties
    return duty, job.get("environment", {}).get("name", "")


def test_every_job_has_the_claims_that_vault_asks_for() -> None:
    root, component = (load(parts(name)[1]) for name in FILES)
    given = {name: claims(job) for name, job in {**root, **component}.items() if "id_tokens" in job}
    assert given == {
        ".bakery": ("validate", ""),
        ".scheduled": ("publish", "bakery-publish"),
        "runner-image": ("runner-image", "bakery-runner-image"),
    }, "checks have the least role; jobs of a schedule log in to targets"
    given |= {name: claims(job) for name, job in jobs_of(child()).items()}
    assert {duty for duty, _ in given.values()} == {*get_args(Duty), "runner-image"}
    for duty, environment in given.values():
        role = json.loads((ROOT / "vault" / "duties" / f"{duty}.json").read_text())
        assert role["bound_audiences"] == [f"AUDIENCE/{duty}"]
        bound = role["bound_claims"].get("environment", "")
        if duty in OF_AN_IMAGE:
            assert (bound, environment, role["user_claim"]) == ("bakery/*", "bakery/web", "environment")
        else:
            assert (bound, role["user_claim"]) == (environment, "project_id")


def test_the_component_names_environments_as_the_child_pipeline_does() -> None:
    assert load(parts(FILES[1])[1])[".scheduled"]["environment"] == environment_of("publish")


def test_each_job_asks_vault_for_its_own_duty_alone() -> None:
    """A job with the claims of two duties would join what the roles keep apart."""
    component = load(parts(FILES[1])[1])
    asked = {name: re.findall(r"--duty (\S+)", " ".join(job.get("script", []))) for name, job in component.items()}
    assert {name: duties for name, duties in asked.items() if duties} == {".vault-check": ["validate"]}
    for job in jobs_of(child()).values():
        assert set(re.findall(r"--duty (\S+)", " ".join(job["script"]))) <= {claims(job)[0]}


def test_protected_branches_are_checked_on_protected_runners() -> None:
    """The plan that becomes the child pipeline never comes from a runner on which merge requests run."""
    jobs = load(parts(FILES[1])[1])
    assert jobs[".protected"]["tags"] == "$[[ inputs.check_tags ]]"
    assert "tags" not in jobs[".unprotected"]
    assert load(parts(FILES[1])[0])["spec"]["inputs"]["check_tags"]["default"] == [pipeline.RUNNERS["bake-public"]]
    for check in ("vault-check", "validate", "plan"):
        assert jobs[check]["extends"] == [".protected", f".{check}"]
        assert jobs[f"branch-{check}"]["extends"] == [".unprotected", f".{check}"]
    assert jobs["bake"]["trigger"]["include"] == [{"artifact": "bakery-pipeline.yml", "job": "plan"}]
    assert jobs["bake"]["needs"] == ["plan"]
    assert load(parts(FILES[0])[1])["runner-image"]["tags"] == [pipeline.RUNNERS["bake-public"]]
    assert jobs[".unprotected"]["rules"][1] == {
        "if": '$CI_COMMIT_BRANCH && $CI_COMMIT_REF_PROTECTED == "true"',
        "when": "never",
    }
    elsewhere = ("merge_request_event", '$CI_COMMIT_REF_PROTECTED != "true"')
    for name, job in {**jobs, **load(parts(FILES[0])[1])}.items():
        if "script" in job and "tags" not in job and not name.startswith(".") and ".protected" not in job["extends"]:
            untagged = ".unprotected" in job["extends"]
            assert untagged or all(any(text in rule["if"] for text in elsewhere) for rule in job["rules"]), name


def test_a_schedule_refreshes_before_it_plans_retires_sweeps_and_audits() -> None:
    jobs = load(parts(FILES[1])[1])
    assert jobs[".scheduled"]["rules"] == [
        {"if": '$CI_PIPELINE_SOURCE == "schedule" && $CI_COMMIT_BRANCH && $CI_COMMIT_REF_PROTECTED == "true"'}
    ]
    assert jobs[".scheduled"]["allow_failure"] is True, "one archive or target must not hold up all images"
    for name in ("refresh", "retire", "sweep", "audit"):
        assert jobs[name]["extends"] == ".scheduled"
        assert jobs[name]["tags"] == [pipeline.RUNNERS["bake-private"]]
        assert not {"rules", "environment", "id_tokens", "before_script"} & jobs[name].keys()
    assert {"job": "refresh", "optional": True} in jobs["plan"]["needs"]
    assert {"retire", "sweep"} <= {*jobs["audit"]["needs"]}, (
        "a retirement that is under way looks like an interrupted one"
    )
    assert "retire" in jobs["sweep"]["needs"], "what it removes next is no leftover"
    assert "bakery sweep --yes" in jobs["sweep"]["script"][0], "nobody answers"


def test_a_merge_request_shows_what_an_apply_would_do_and_applies_nothing() -> None:
    jobs = load(parts(FILES[1])[1])
    assert jobs["diff"]["rules"] == [
        {"if": '$CI_PIPELINE_SOURCE == "merge_request_event" && "$[[ inputs.diff ]]" == "true"'}
    ]
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


def test_nothing_needs_a_paid_tier() -> None:
    texts = [*(parts(name)[1] for name in FILES), pipeline.render(child())]
    assert not any("secrets:" in text for text in texts)


class Build:
    """The job `runner-image`, with a stand-in for buildah that keeps what it pushes where."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.programs = Programs(folder / "bin", monkeypatch)
        login = '[ "$1" != login ] || { cat >>passwords; touch "$REGISTRY_AUTH_FILE"; }'
        push = f'[ "$1 $2" != "push --digestfile" ] || {{ echo sha256:{"1" * 64} >"$3"; }}'
        self.programs.shell("buildah", f"{login}\n{push}")
        for name in ("USER", "PASSWORD"):
            monkeypatch.setenv(f"CI_REGISTRY_{name}", f"registry_{name.lower()}")
        monkeypatch.setenv("BAKERY_RUNNER_REPOSITORY", "registry.example.com/images/bakery/runner")
        monkeypatch.setenv("CI_COMMIT_SHORT_SHA", "0123abcd")
        monkeypatch.setenv("CI_JOB_ID", "4711")
        for name in ("VAULT_ADDR", "BAKERY_GITLAB_URL"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TMPDIR", str(folder))
        (folder / ".gitlab-ci.yml").write_text((ROOT / ".gitlab-ci.yml").read_text())

    def __call__(self) -> list[str]:
        """What was pushed, in order."""
        done = subprocess.run(
            [ROOT / "runner" / "build.sh"], cwd=self.folder, check=True, capture_output=True, text=True
        )
        self.out = done.stdout
        return [call.split()[-1] for call in self.programs.calls("buildah") if call.startswith("push")]

    @property
    def handed_on(self) -> str:
        return (self.folder / "runner.image").read_text()


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    return Build(tmp_path, monkeypatch)


def test_the_runner_image_is_handed_on_by_digest_and_the_password_in_no_argument(build: Build) -> None:
    pushed = build()
    pinned = f"registry.example.com/images/bakery/runner@sha256:{'1' * 64}"
    assert build.handed_on == f"{pinned}\n"
    assert f"runner_image: {pinned}" in build.out, "what a person has to change"
    assert pushed == ["registry.example.com/images/bakery/runner:0123abcd-4711"]
    assert [call.split()[0] for call in build.programs.calls("buildah")] == ["login", "build", "push"]
    assert build.programs.calls("buildah")[0].endswith(" registry.example.com"), "the password goes nowhere else"
    assert not any("registry_password" in call for call in build.programs.calls("buildah"))
    assert (build.folder / "passwords").read_text() == "registry_password\n"
    assert not list(build.folder.glob("**/auth.json")), "the login ends with the job"


def test_the_runner_stacks_repository_is_logged_in_to_by_token(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/bakery-prod-runner"
    monkeypatch.setenv("BAKERY_RUNNER_REPOSITORY", ecr)
    monkeypatch.setenv("BAKERY_PUSH_ROLE_ARN", "arn:aws:iam::123456789012:role/push")
    monkeypatch.setenv("AWS_ID_TOKEN", "token")
    login = base64.b64encode(b"AWS:ecr_password").decode()
    build.programs.shell("curl", f'cat >>asked; echo \'{{"authorizationToken": "{login}"}}\'')
    assert build() == [f"{ecr}:0123abcd-4711"]
    assert build.handed_on == f"{ecr}@sha256:{'1' * 64}\n"
    assert (build.folder / "passwords").read_text() == "ecr_password\n"


def test_without_a_repository_nothing_is_built(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BAKERY_RUNNER_REPOSITORY")
    done = subprocess.run([ROOT / "runner" / "build.sh"], cwd=build.folder, check=False, capture_output=True, text=True)
    assert done.returncode == 64
    assert "does not set BAKERY_RUNNER_REPOSITORY" in done.stderr
    assert build.programs.calls("buildah") == []


def test_the_image_starts_bash_without_what_a_pipeline_would_have_it_run(tmp_path: Path) -> None:
    """BASH_ENV and, where a trace is asked for, PS4: bash runs both before a job's first line."""
    (line,) = re.findall(r"^ENTRYPOINT (.*)$", (ROOT / "runner" / "Dockerfile").read_text(), re.MULTILINE)
    marker = tmp_path / "ran"
    evil = {"BASH_ENV": f"$(touch {marker})", "SHELLOPTS": "braceexpand:hashall:xtrace", "PS4": f"$(touch {marker})"}
    script = ["/bin/bash", "-c", "true"]
    subprocess.run(script, env={"PATH": "/usr/bin:/bin", **evil}, check=True, capture_output=True)
    assert marker.exists(), "or this test shows nothing"
    marker.unlink()
    subprocess.run([*json.loads(line), *script], env={"PATH": "/usr/bin:/bin", **evil}, check=True, capture_output=True)
    assert not marker.exists()
