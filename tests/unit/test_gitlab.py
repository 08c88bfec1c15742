"""The GitLab files: valid by GitLab's own schema, and of one mind with each other and with the code."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from ruamel.yaml import YAML

from bakery import pipeline
from bakery.cli.ci import Target
from bakery.definition import ImageDefinition, TargetName
from bakery.errors import ExitCode
from bakery.plan import Action, Plan
from bakery.vaultcheck import Duty
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
    command = [
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
    image = ImageDefinition.model_validate_json(json.dumps(text))
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
    assert set(include["inputs"]) == {"images", "target", "channel", "dry_run"}
    for name in ("images", "target", "dry_run"):
        assert root[name] == component[name]


def test_targets_are_those_of_definitions() -> None:
    component = load(parts(FILES[1])[0])["spec"]["inputs"]
    assert component["target"]["options"] == list(get_args(Target)) == ["all", *get_args(TargetName)]


def test_jobs_try_again_what_the_bakery_calls_so() -> None:
    jobs = load(parts(FILES[1])[1])
    assert jobs[".bakery"]["retry"] == pipeline.RETRY
    assert pipeline.RETRY["exit_codes"] == [ExitCode.TRY_AGAIN]


def test_every_job_logs_in_to_vault_for_one_of_the_duties() -> None:
    jobs = load(parts(FILES[1])[1])
    assert jobs[".bakery"]["variables"] == {"VAULT_ROLE": "bakery-validate"}
    own = {name for name, job in jobs.items() if "variables" in job and name != ".bakery"}
    assert own == set(), "checks have the least role"
    made = {job["variables"]["VAULT_ROLE"] for job in child().values() if "variables" in job}
    assert made | {"bakery-validate"} == {f"bakery-{duty}" for duty in get_args(Duty)}
    looped = re.search(r"for duty in (.*);", jobs["vault-check"]["script"][1])
    assert looped
    assert ["validate", *looped[1].split()] == list(get_args(Duty))


def test_the_runner_image_has_a_duty_of_its_own() -> None:
    job = load(parts(FILES[0])[1])["runner-image"]
    assert job["variables"] == {"VAULT_ROLE": "bakery-runner-image"}
    assert job["id_tokens"] == load(parts(FILES[1])[1])[".bakery"]["id_tokens"]


def test_a_merge_request_shows_what_an_apply_would_do_and_applies_nothing() -> None:
    jobs = load(parts(FILES[1])[1])
    assert jobs["diff"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event" && $BAKERY_ENVIRONMENT'}]
    assert jobs["diff"]["artifacts"]["reports"] == {"terraform": "terraform.json"}
    assert jobs["diff"]["script"][0].endswith("bakery diff --report terraform.json")
    assert not any("bakery apply" in line for job in jobs.values() if "script" in job for line in job["script"])


def test_nothing_needs_a_paid_tier() -> None:
    texts = [*(parts(name)[1] for name in FILES), pipeline.render(child())]
    assert not any("secrets:" in text for text in texts)


def test_the_runner_image_is_handed_on_by_digest_and_the_password_in_no_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = Programs(tmp_path / "bin", monkeypatch)
    login = '[ "$1" != login ] || { cat >password; touch "$REGISTRY_AUTH_FILE"; }'
    programs.shell("buildah", f'{login}; [ "$1" != push ] || echo sha256:0123 >"$3"')
    for name in ("REGISTRY", "REGISTRY_IMAGE", "REGISTRY_USER", "REGISTRY_PASSWORD"):
        monkeypatch.setenv(f"CI_{name}", name.lower())
    monkeypatch.delenv("VAULT_ADDR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    subprocess.run([ROOT / "runner" / "build.sh"], cwd=tmp_path, check=True)
    assert (tmp_path / "runner.env").read_text() == "BAKERY_RUNNER_IMAGE=registry_image/runner@sha256:0123\n"
    assert [call.split()[0] for call in programs.calls("buildah")] == ["login", "build", "push"]
    assert not any("registry_password" in call for call in programs.calls("buildah"))
    assert (tmp_path / "password").read_text() == "registry_password\n"
    assert not list(tmp_path.glob("**/auth.json")), "the login ends with the job"
