"""The child pipeline of a plan: which jobs, in which order, under which locks and duties."""

import json
import re
import shlex
from dataclasses import replace
from typing import Any

import pytest

from bakery.clouds.definitions import Definition
from bakery.engine import duties
from bakery.engine.gitlab import Settings, pipeline, render
from bakery.engine.plan import Action, Kind, Plan
from bakery.model.definition import ImageDefinition

SETTINGS = Settings("registry.example.com/runner@sha256:0", "https://vault.example.com", "prod")
CHECKS = ["vault-check publish", "vault-check apply"]
AWS = {"regions": ["eu-central-1"]}
AMI = {"ami": {"name": "debian-12-*", "owner": "136693071363"}}


def image(name: str, base: dict[str, Any], *targets: str) -> ImageDefinition:
    text = {
        "name": name,
        "description": "An image",
        "os": "debian-12",
        "arch": "x86_64",
        "version": "1.0",
        "base": base,
        "targets": targets or ["local"],
        "distribution": {"aws": AWS} if "aws" in targets else {},
    }
    return Definition.model_validate_json(json.dumps(text))


BASE = image("base", {"qemu": {"debootstrap": {"suite": "bookworm"}}})
WEB = image("web", {"qemu": {"image": "base"}}, "local", "aws")
CLOUD = image("cloud", {"aws": AMI}, "aws")
BOTH = image("both", {"qemu": {"image": "web"}, "aws": {"image": "web"}}, "local", "aws")
IMAGES = {found.name: found for found in (BASE, WEB, CLOUD, BOTH)}


def plan(**kinds: Kind) -> Plan:
    return Plan(tuple(Action(name, "x86_64", kind, "because") for name, kind in kinds.items()))


def child(settings: Settings = SETTINGS, **kinds: Kind) -> dict[str, Any]:
    return pipeline(plan(**kinds), IMAGES, settings)


def jobs(found: dict[str, Any]) -> list[str]:
    """The names of the jobs after the checks."""
    return [name for name in found if name not in ("stages", "workflow", "variables", "default", *CHECKS)]


def needs(found: dict[str, Any]) -> dict[str, list[str]]:
    """What each job needs besides the checks, which every image's jobs need first."""
    wanted = {name: found[name]["needs"] for name in jobs(found) if "needs" in found[name]}
    assert all(names[: len(CHECKS)] == CHECKS for names in wanted.values())
    return {name: names[len(CHECKS) :] for name, names in wanted.items()}


def test_what_is_kept_has_no_jobs() -> None:
    assert jobs(child(base="keep", web="bake")) == ["bake-private web", "verify web", "publish web", "apply images"]


def test_nothing_due_is_one_job_that_does_nothing() -> None:
    found = child(base="keep", web="keep")
    assert jobs(found) == ["nothing due"]
    assert found["nothing due"]["script"] == ["echo 'Every image is up to date.'"]


def test_a_child_waits_for_its_parent_and_gets_its_disk() -> None:
    found = child(base="bake", web="wait")
    assert needs(found) == {
        "bake-private base": [],
        "verify base": ["bake-private base"],
        "publish base": ["bake-private base", "verify base"],
        "bake-private web": ["bake-private base", "publish base"],
        "verify web": ["bake-private web"],
        "publish web": ["bake-private web", "verify web"],
    }


def test_nothing_needs_a_job_of_a_later_stage() -> None:
    """GitLab would refuse the whole pipeline."""
    found = child(base="bake", web="wait", both="wait", cloud="bake")
    steps = ["bake", "verify", "publish"]
    assert found["stages"] == [
        "check",
        *steps,
        *(f"{step} 2" for step in steps),
        *(f"{step} 3" for step in steps),
        "apply",
    ]
    assert [found[f"{step} web"]["stage"] for step in ("bake-private", "verify", "publish")] == found["stages"][4:7]
    assert (found["bake-public both"]["stage"], found["bake-public cloud"]["stage"]) == ("bake 3", "bake")
    order = {name: found["stages"].index(found[name]["stage"]) for name in jobs(found)}
    assert all(order[need] < order[name] for name, wanted in needs(found).items() for need in wanted)
    assert child(base="keep", web="bake")["stages"] == child(base="keep")["stages"] == ["check", *steps, "apply"]


VERIFIED = ("verdict.json", "verdict.dsse.json", "vulnerabilities.json", "openvex.json")


def test_a_disk_is_handed_on_once_by_the_job_that_baked_it() -> None:
    found = child(base="bake", web="wait")
    logs = ".bakery/logs/"
    assert {name: found[name]["artifacts"]["paths"] for name in jobs(found)} == {
        "bake-private base": [".bakery/artifacts/base-1.0.*", logs],
        "verify base": [*(f".bakery/artifacts/base-1.0.*/{name}" for name in VERIFIED), logs],
        "publish base": [".bakery/artifacts/base-1.0.*/publication*.json", logs, "note-base.md"],
        "bake-private web": [".bakery/artifacts/web-1.0.*", logs],
        "verify web": [*(f".bakery/artifacts/web-1.0.*/{name}" for name in VERIFIED), logs],
        "publish web": [".bakery/artifacts/web-1.0.*/publication*.json", logs, "note-web.md"],
        "apply images": ["images.json"],
    }
    assert all(found[name]["artifacts"]["access"] == "developer" for name in jobs(found) if name != "apply images")


def test_each_job_that_bakes_reports_a_bill_of_materials() -> None:
    found = child(both="bake")
    path = ".bakery/artifacts/both-1.0.*/sbom.cdx.json"
    for job in ("bake-private both", "bake-public both"):
        assert found[job]["artifacts"]["reports"] == {"cyclonedx": [path]}


def test_only_who_builds_on_the_disk_fetches_it() -> None:
    found = child(base="keep", web="bake", both="wait")
    assert needs(found)["bake-private both"] == ["bake-private web", "publish web"]
    assert needs(found)["bake-public both"] == ["publish web"], "it starts from an image in the cloud"
    assert needs(child(web="publish", both="wait"))["bake-private both"] == ["publish web"]


def test_a_kept_parent_is_not_waited_for() -> None:
    assert needs(child(base="keep", web="bake"))["bake-private web"] == []


def test_private_and_public_bakes_are_apart() -> None:
    found = child(cloud="bake", both="bake")
    assert found["bake-private both"]["script"][1] == "section bake 'Bake both' bakery bake both --builder qemu"
    assert found["bake-public both"]["script"][1] == "section bake 'Bake both' bakery bake both --builder aws"
    assert needs(found)["publish both"] == ["bake-private both", "bake-public both", "verify both"]
    assert "bake-private cloud" not in found
    assert "verify cloud" not in found, "Packer's builder there tests while it builds"
    assert needs(found)["publish cloud"] == ["bake-public cloud"]


def test_what_writes_runs_on_runners_of_its_own() -> None:
    found = child(cloud="bake", both="bake")
    assert {name: found[name]["tags"] for name in jobs(found)} == {
        "bake-public cloud": ["bakery-public"],
        "publish cloud": ["bakery-public"],
        "bake-private both": ["bakery-private"],
        "bake-public both": ["bakery-public"],
        "verify both": ["bakery-private"],
        "publish both": ["bakery-private"],
        "apply images": ["bakery-public"],
    }


def test_a_version_that_lacks_a_target_is_not_baked_again() -> None:
    found = child(base="keep", web="publish")
    assert jobs(found) == ["publish web", "apply images"]
    assert needs(found)["publish web"] == []


def test_one_target_takes_the_parents_along() -> None:
    found = child(replace(SETTINGS, target="aws"), base="bake", web="wait", cloud="bake")
    assert [name for name in jobs(found) if name.startswith("publish")] == [
        "publish base",
        "publish web",
        "publish cloud",
    ]
    assert jobs(child(replace(SETTINGS, target="aws"), base="bake")) == ["nothing due"]
    assert jobs(child(replace(SETTINGS, target="azure"), base="bake", web="wait")) == ["nothing due"]


def test_another_channel() -> None:
    assert child(web="publish")["publish web"]["script"][1] == "section publish 'Publish web' bakery publish web"
    found = child(replace(SETTINGS, channel="a; b"), web="publish")
    assert found["publish web"]["script"][1].endswith("bakery publish web --channel 'a; b'")


def test_a_rebuild_that_must_be_equal() -> None:
    """Only jobs that bake a disk on their machine can compare its content."""
    asked, silent = (
        child(replace(SETTINGS, fail_on_difference=asked), cloud="bake", web="bake") for asked in (True, False)
    )
    bakes = [job for job in jobs(asked) if job.startswith("bake-")]
    assert (
        {job: "--fail-on difference" in asked[job]["script"][1] for job in bakes}
        == {job: "--builder qemu" in asked[job]["script"][1] for job in bakes}
        == {"bake-private web": True, "bake-public cloud": False}
    )
    assert not any("--fail-on" in silent[job]["script"][1] for job in bakes)


def test_jobs_plan_as_the_plan_did_whose_jobs_they_are() -> None:
    """Else a rebuild that somebody asked for would find nothing due."""
    time = "2026-01-31T12:00:00+00:00"
    actions = [
        Action("base", "x86_64", "bake", "", due_since=time),
        Action("web", "x86_64", "wait", "", due_since=time),
    ]
    found = pipeline(Plan(tuple(actions)), IMAGES, SETTINGS)
    for name in ("base", "web"):
        due = f"due {name} --baked-before {time} || exit 0"
        assert f"bakery bake {name} --baked-before {time} --builder" in found[f"bake-private {name}"]["script"][1]
        assert found[f"verify {name}"]["script"][0] == found[f"publish {name}"]["script"][0] == due


def test_a_paused_image_is_a_warning() -> None:
    paused = Action("base", "x86_64", "pause", "paused after 3 failures: it's broken")
    found = pipeline(Plan((paused,)), IMAGES, SETTINGS)
    assert jobs(found) == ["nothing due", "paused base"]
    job = found["paused base"]
    assert (job["allow_failure"], job["script"][1]) == (True, "exit 1")
    assert shlex.split(job["script"][0]) == ["echo", "base: paused after 3 failures: it's broken"]
    assert jobs(pipeline(Plan((paused,)), IMAGES, replace(SETTINGS, target="aws"))) == ["nothing due"]


def test_no_two_publish_or_apply_at_the_same_place_at_once() -> None:
    found = child(web="bake", cloud="bake")
    locks = {name: found[name]["resource_group"] for name in jobs(found) if "resource_group" in found[name]}
    assert locks == {
        "publish web": "publish/prod/web",
        "publish cloud": "publish/prod/cloud",
        "apply images": "apply/prod/images",
    }
    # The rule of lib/gitlab/regex.rb; a job with another key has no lock at all, and nothing says so.
    valid = re.compile(r"[\w${}. -]([\w/${}. -]*[\w${}. -])?")
    assert all(valid.fullmatch(lock) for lock in locks.values())
    assert child(replace(SETTINGS, environment=""), web="bake")["publish web"]["resource_group"] == "publish/web"


def test_apply_is_one_line_that_asks_vault() -> None:
    [line] = child(web="bake")["apply images"]["script"]
    assert line.startswith("section apply 'Hand the IDs to Terraform' bakery vault exec -- bakery apply images ")


def test_every_job_has_the_claims_of_one_duty_and_no_more() -> None:
    found = child(both="bake")
    expected = {
        "vault-check publish": ("publish", "bakery-publish", "access"),
        "vault-check apply": ("apply", "bakery-apply", "access"),
        "bake-private both": ("bake-private", "bakery/both", "prepare"),
        "bake-public both": ("bake-public", "bakery/both", "prepare"),
        "verify both": ("verify", "bakery/both", "verify"),
        "publish both": ("publish", "bakery-publish", "access"),
        "apply images": ("apply", "bakery-apply", "access"),
    }
    assert set(expected) == {*CHECKS, *jobs(found)}
    for name, (duty, environment, action) in expected.items():
        job = found[name]
        assert job["environment"] == {"name": environment, "action": action}
        assert job["id_tokens"] == {
            "VAULT_ID_TOKEN": {"aud": f"https://vault.example.com/{duty}"},
            "AWS_ID_TOKEN": {"aud": f"sts.amazonaws.com/{duty}"},
        }
        assert job["before_script"] == [f". /opt/bakery/runner/enter.sh {duty}"]
        assert "variables" not in job
    assert not {"id_tokens", "before_script", "variables"} & found["default"].keys(), "nothing is common to two duties"


def test_no_action_makes_a_deployment() -> None:
    """GitLab refuses a deployment that is older than the last one."""
    found = child(both="bake")
    actions = {job["environment"]["action"] for job in found.values() if isinstance(job, dict) and "environment" in job}
    assert actions <= {"prepare", "verify", "access"}


def test_the_environments_of_images_and_of_duties_never_meet() -> None:
    for duty in ("publish", "apply"):
        assert duties.environment_of("bake-private", duty)["name"] != duties.environment_of(duty)["name"]


def test_nothing_in_a_job_is_a_variable() -> None:
    """A pipeline, a trigger or a schedule may set any of them, also those that GitLab defines."""
    assert "$" not in render(child(base="bake", web="wait", both="wait", cloud="bake"))


def test_nothing_is_baked_before_vault_gives_what_later_jobs_need() -> None:
    found = child(base="bake", web="wait")
    assert found["vault-check publish"]["script"] == [
        "section vault 'What publish needs from Vault' bakery vault check --duty publish base web"
    ]
    assert found["vault-check apply"]["needs"] == []
    assert found["bake-private web"]["script"][0].endswith("bakery vault check --duty bake-private web")


def test_without_an_environment_nothing_is_applied() -> None:
    found = child(replace(SETTINGS, environment=""), web="bake")
    assert not [name for name in found if "apply" in name and name != "stages"]
    assert found["bake-private web"]["needs"] == ["vault-check publish"]


def test_only_what_may_pass_is_tried_again_and_nothing_is_cancelled() -> None:
    default = child(web="bake")["default"]
    assert default["retry"] == {"max": 2, "when": ["runner_system_failure"], "exit_codes": [75]}
    assert default["interruptible"] is False
    assert default["image"] == "registry.example.com/runner@sha256:0"


def test_apply_waits_for_all_without_a_list() -> None:
    """GitLab allows 50 needs."""
    apply = child(web="bake")["apply images"]
    assert "needs" not in apply
    assert apply["dependencies"] == [], "nor does it fetch their disks"
    assert "rules" not in apply


def test_apply_reports_what_it_did_or_refused() -> None:
    apply = child(web="bake")["apply images"]
    [line] = apply["script"]
    assert line.endswith("bakery apply images --outputs images.json --report terraform.json")
    assert apply["artifacts"]["when"] == "always"
    assert apply["artifacts"]["reports"] == {"terraform": "terraform.json"}


@pytest.mark.parametrize("kinds", [{"base": "bake", "web": "wait", "both": "wait"}, {"base": "keep"}])
def test_the_same_plan_gives_the_same_text(kinds: dict[str, Kind]) -> None:
    first, second = (render(child(SETTINGS, **kinds)) for _ in range(2))
    assert first == second
    assert "&id" not in first, "an anchor stands where the same list is used twice"
