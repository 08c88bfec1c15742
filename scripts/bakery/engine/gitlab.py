"""Plan + definitions -> the GitLab pipeline that bakes, tests, publishes and applies only what is due.

It is a child of the pipeline in templates/bakery/, and has all jobs after the plan: a parent pipeline cannot get the
artifacts of its child.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from bakery.engine.duties import Duty, environment_of, id_tokens_of
from bakery.engine.plan import Action, Plan
from bakery.engine.vault_check import used
from bakery.engine.vulnerabilities import REPORT, VEX
from bakery.host.errors import ExitCode
from bakery.model.contents import SBOM_SUFFIXES
from bakery.model.definition import ImageDefinition

Job = dict[str, Any]
Jobs = dict[str, Job]

CHECK = "check"  # the stage before every bake
STEPS = ("bake", "verify", "publish")  # of an image; each is a stage
BAKES: tuple[Duty, ...] = ("bake-private", "bake-public")
# Tags of runners by duty: a runner that checks merge requests must not be able to write to the catalog.
RUNNERS = {"bake-private": "bakery-private", "bake-public": "bakery-public"}
EXPIRY = "3 days"  # artifacts for later jobs: a failed job can be run again after a weekend
ARTIFACTS = ".bakery/artifacts/"
VERDICT = ("verdict.json", "verdict.dsse.json")
LOGS = ".bakery/logs/"

# With credentials from Vault; without BAKERY_APPLY_CREDENTIALS, with the job's own.
APPLY = "bakery vault exec -- bakery apply images --outputs images.json --report terraform.json"

# A fixed path, and the duty as an argument: variables can be set by whoever starts a pipeline.
ENTER = ". /opt/bakery/runner/enter.sh"
# Only failures of the system: other jobs would fail again. GitLab allows at most 2.
RETRY = {"max": 2, "when": ["runner_system_failure"], "exit_codes": [int(ExitCode.TRY_AGAIN)]}


@dataclass(frozen=True)
class Settings:
    """Settings that the jobs of a run have in common, as literal text in each of them.

    The container image by digest, the audience that Vault knows, the environment to apply (empty: none), one target or
    all, a channel to move instead of that of the definitions, and whether a bake fails whose content differs from the
    last one of the same inputs.
    """

    runner_image: str
    vault_audience: str
    environment: str = ""
    target: str = "all"
    channel: str = ""
    fail_on_difference: bool = False


def pipeline(plan: Plan, images: Mapping[str, ImageDefinition], settings: Settings) -> dict[str, Any]:
    """The child pipeline. One job that does nothing replaces an empty pipeline, which GitLab refuses."""
    due = {action.image: action for action in _due_actions(plan, images, settings.target)}
    paused = _paused_jobs(plan, images, settings.target)
    generations: dict[str, int] = {}
    jobs: Jobs = {}
    for name, action in due.items():
        generations[name] = generations.get(images[name].parent or "", 0) + 1
        steps = _image_jobs(images[name], action, jobs, settings)
        jobs |= {job: {**steps[job], "stage": _stage_name(steps[job]["stage"], generations[name])} for job in steps}
    common = _common_settings(settings, max(generations.values(), default=1))
    if not due:
        return common | {"nothing due": _idle_job()} | paused
    checks = _check_jobs([images[name] for name in due], settings)
    apply = {"apply images": _apply_job(settings)} if settings.environment else {}
    return common | checks | _with_checks(jobs, checks) | apply | paused


def render(document: Mapping[str, Any]) -> str:
    """The same mapping gives the same text."""
    stream = StringIO()
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(dict(document), stream)
    return stream.getvalue()


def _due_actions(plan: Plan, images: Mapping[str, ImageDefinition], target: str) -> Iterator[Action]:
    """The pending actions of the target's images and of their parents, which are baked first."""
    names = {action.image for action in plan.pending if target in ("all", *images[action.image].targets)}
    for name in tuple(names):
        while parent := images[name].parent:
            names.add(parent)
            name = parent
    return (action for action in plan.pending if action.image in names)


def _stage_name(step: str, generation: int) -> str:
    """Children have stages of their own, after their parents': GitLab refuses a job that needs one of a later stage."""
    return step if generation == 1 else f"{step} {generation}"


def _common_settings(settings: Settings, generations: int) -> dict[str, Any]:
    stages = [_stage_name(step, generation + 1) for generation in range(generations) for step in STEPS]
    return {
        "stages": [CHECK, *stages, "apply"],
        "workflow": {"auto_cancel": {"on_new_commit": "none"}},
        "default": {
            "image": settings.runner_image,
            "interruptible": False,
            "retry": RETRY,
        },
    }


def _duty_settings(duty: Duty, settings: Settings, image: str = "") -> Job:
    """The keys of a job that give it the rights of one duty, for one image if the duty is for one."""
    return {
        "environment": environment_of(duty, image),
        "id_tokens": id_tokens_of(duty, settings.vault_audience),
        "before_script": [f"{ENTER} {duty}"],
    }


def _check_jobs(due: Sequence[ImageDefinition], settings: Settings) -> Jobs:
    """The checks of what publish and apply need from Vault, before anything is baked. A bake checks its own needs."""
    names = " ".join(image.name for image in due)
    jobs = {"vault-check publish": _check_job("publish", _publish_runner(due[0]), names, settings)}
    if settings.environment:
        jobs["vault-check apply"] = _check_job("apply", RUNNERS["bake-public"], names, settings)
    return jobs


def _check_job(duty: Duty, runner: str, names: str, settings: Settings) -> Job:
    return {
        "stage": CHECK,
        "tags": [runner],
        **_duty_settings(duty, settings),
        "needs": [],
        "script": [_check_line(duty, names)],
    }


def _check_line(duty: Duty, names: str) -> str:
    return f"section vault 'What {duty} needs from Vault' bakery vault check --duty {duty} {names}"


def _with_checks(jobs: Jobs, checks: Jobs) -> Jobs:
    """The same jobs, none of which starts before the checks."""
    return {name: {**job, "needs": [*checks, *job["needs"]]} for name, job in jobs.items()}


def _image_jobs(image: ImageDefinition, action: Action, earlier: Jobs, settings: Settings) -> Jobs:
    """The jobs of one image, after its parent's. The runner that baked a version publishes it at missing targets."""
    selection = f"{image.name} --baked-before {action.due_since}" if action.due_since else image.name
    bakes = _bake_jobs(image, selection, earlier, settings) if action.kind not in ("publish", "promote") else {}
    verify = _verify_jobs(image, selection, settings) if f"bake-private {image.name}" in bakes else {}
    return {**bakes, **verify, **_publish_jobs(image, selection, [*bakes, *verify], settings)}


def _bake_jobs(image: ImageDefinition, selection: str, earlier: Jobs, settings: Settings) -> Jobs:
    """The jobs that bake it. `selection` has the arguments by which they plan as this plan did."""
    jobs = {}
    for duty in BAKES:
        if builders := used(image, duty):
            options = [f"--builder {builder}" for builder in builders]
            if settings.fail_on_difference and "qemu" in builders:  # nobody reads the content of a target's own image
                options.append("--fail-on difference")
            jobs[f"{duty} {image.name}"] = {
                "stage": "bake",
                "tags": [RUNNERS[duty]],
                **_duty_settings(duty, settings, image.name),
                "needs": _parent_jobs(image, builders, earlier),
                "script": [
                    _check_line(duty, image.name),
                    f"section bake 'Bake {image.name}' bakery bake {selection} {' '.join(options)}",
                ],
                "artifacts": _artifact_settings(_artifact_pattern(image), LOGS) | _sbom_report(image),
            }
    return jobs


def _sbom_report(image: ImageDefinition) -> Job:
    """The packages of an image for GitLab's list of dependencies."""
    path = f"{_artifact_pattern(image)}/sbom.{SBOM_SUFFIXES['cyclonedx']}"
    return {} if image.windows else {"reports": {"cyclonedx": [path]}}


def _parent_jobs(image: ImageDefinition, builders: Sequence[str], earlier: Jobs) -> list[str]:
    """The parent's jobs that this image needs: the one with the disk, and the one that completes the version."""
    disk = [f"bake-private {image.parent}"] if "qemu" in builders else []
    return [job for job in (*disk, f"publish {image.parent}") if job in earlier]


def _verify_jobs(image: ImageDefinition, selection: str, settings: Settings) -> Jobs:
    name = image.name
    job = {
        "stage": "verify",
        "tags": [RUNNERS["bake-private"]],
        **_duty_settings("verify", settings, name),
        "needs": [f"bake-private {name}"],
        "script": [f"due {selection} || exit 0", f"section verify 'Test {name}' bakery verify {name}"],
        "artifacts": _artifact_settings(
            *(f"{_artifact_pattern(image)}/{document}" for document in (*VERDICT, REPORT, VEX)), LOGS
        ),
    }
    return {f"verify {name}": job}


def _publish_runner(image: ImageDefinition) -> str:
    """The tag of the runners that publish an image: those that baked it."""
    return RUNNERS["bake-private" if used(image, "bake-private") else "bake-public"]


def _publish_jobs(image: ImageDefinition, selection: str, needs: list[str], settings: Settings) -> Jobs:
    """The runner that baked the image publishes it."""
    name = image.name
    option = f" --channel {shlex.quote(settings.channel)}" if settings.channel else ""
    job = {
        "stage": "publish",
        "tags": [_publish_runner(image)],
        **_duty_settings("publish", settings),
        # An environment is an account. With GitLab's lock, a pipeline need not wait for the bakery's, which also covers
        # laptops.
        "resource_group": _lock_name("publish", settings.environment, name),
        "needs": needs,
        "script": [
            f"due {selection} || exit 0",
            f"section publish 'Publish {name}' bakery publish {name}{option}",
            f"note {name}",
        ],
        "artifacts": _artifact_settings(f"{_artifact_pattern(image)}/publication*.json", LOGS, f"note-{name}.md"),
    }
    return {f"publish {name}": job}


def _apply_job(settings: Settings) -> Job:
    """The job that waits for all stages before it: GitLab limits a list of needs to 50."""
    return {
        "stage": "apply",
        "tags": [RUNNERS["bake-public"]],
        **_duty_settings("apply", settings),
        "resource_group": _lock_name("apply", settings.environment, "images"),
        "dependencies": [],
        "script": [f"section apply 'Hand the IDs to Terraform' {APPLY}"],
        "artifacts": {
            "when": "always",  # a refused plan is in the report, too
            "expire_in": EXPIRY,
            "paths": ["images.json"],
            "reports": {"terraform": "terraform.json"},
        },
    }


def _paused_jobs(plan: Plan, images: Mapping[str, ImageDefinition], target: str) -> Jobs:
    """A warning for each paused image, without which a pipeline that leaves an image behind looks complete."""
    return {
        f"paused {action.image}": {
            "stage": "bake",
            "needs": [],
            "allow_failure": True,
            "script": [f"echo {shlex.quote(f'{action.image}: {action.reason}')}", "exit 1"],
        }
        for action in plan.actions
        if action.kind == "pause" and target in ("all", *images[action.image].targets)
    }


def _idle_job() -> Job:
    return {"stage": "bake", "script": ["echo 'Every image is up to date.'"]}


def _lock_name(*parts: str) -> str:
    """GitLab drops a lock whose name has an empty part."""
    return "/".join(filter(None, parts))


def _artifact_pattern(image: ImageDefinition) -> str:
    """The results of the image's jobs, without the parent's disk. Names have no dot, so `web-1.0.` begins the
    folders of no other image."""
    return f"{ARTIFACTS}{image.name}-{image.version}.*"


def _artifact_settings(*paths: str) -> Job:
    """A failed job also keeps its artifacts, for its logs. Only developers may download them: they include disks."""
    return {"when": "always", "access": "developer", "expire_in": EXPIRY, "paths": list(paths)}
