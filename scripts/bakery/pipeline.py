"""Plan + definitions -> the GitLab pipeline that bakes, tests, publishes and applies what is due, and nothing else.

It is a child of the pipeline in templates/bakery/. All that comes after the plan is in it, since GitLab hands no
artifact of a child back to its parent.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from bakery.definition import ImageDefinition
from bakery.errors import ExitCode
from bakery.plan import Action, Plan
from bakery.vaultcheck import Duty, used

Job = dict[str, Any]
Jobs = dict[str, Job]

STAGES = ("bake", "verify", "publish", "apply")
BAKES: tuple[Duty, ...] = ("bake-private", "bake-public")
# Runners by duty, as tags: what checks merge requests must not be what may write to the catalog.
RUNNERS = {"bake-private": "bakery-private", "bake-public": "bakery-public"}
KEPT = "3 days"  # what jobs hand on: time to run a failed job again after a weekend
ARTIFACTS = ".bakery/artifacts/"
LOGS = ".bakery/logs/"
STORE = ".bakery/store/"

ENTER = '. "${BAKERY_TOOLBOX:-/opt/bakery}/runner/enter.sh"'
# Never the whole job on any failure: what failed for a reason fails again. At most 2 is GitLab's own limit.
RETRY = {"max": 2, "when": ["runner_system_failure"], "exit_codes": [int(ExitCode.TRY_AGAIN)]}


@dataclass(frozen=True)
class Settings:
    """What a run was asked for: the image that jobs run in, the one target that counts (or all), another channel."""

    runner_image: str
    target: str = "all"
    channel: str = ""


def pipeline(plan: Plan, images: Mapping[str, ImageDefinition], settings: Settings) -> dict[str, Any]:
    """The child pipeline; with one job that does nothing if nothing is due, since GitLab refuses an empty one."""
    due = {action.image: action for action in _due(plan, images, settings.target)}
    jobs: Jobs = {}
    for name, action in due.items():
        jobs |= _line(images[name], action, due, images, settings.channel)
    return _common(settings) | ({**jobs, "apply images": _apply()} if due else {"nothing due": _nothing()})


def render(found: Mapping[str, Any]) -> str:
    """The same mapping gives the same text."""
    stream = StringIO()
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(dict(found), stream)
    return stream.getvalue()


def _due(plan: Plan, images: Mapping[str, ImageDefinition], target: str) -> Iterator[Action]:
    """What is pending and goes to the target, and the parents without which that cannot be baked."""
    wanted = {action.image for action in plan.pending if target in ("all", *images[action.image].targets)}
    for name in tuple(wanted):
        while parent := images[name].parent:
            wanted.add(parent)
            name = parent
    return (action for action in plan.pending if action.image in wanted)


def _common(settings: Settings) -> dict[str, Any]:
    return {
        "stages": list(STAGES),
        "workflow": {"auto_cancel": {"on_new_commit": "none"}},
        "default": {
            "image": settings.runner_image,
            "interruptible": False,
            "retry": RETRY,
            "id_tokens": {"VAULT_ID_TOKEN": {"aud": "$VAULT_ADDR"}},
            "before_script": [ENTER],
        },
    }


def _line(
    image: ImageDefinition,
    action: Action,
    due: Mapping[str, Action],
    images: Mapping[str, ImageDefinition],
    channel: str,
) -> Jobs:
    """The jobs of one image. A version that lacks a target is published from where it was baked."""
    parent = [f"publish {image.parent}"] if image.parent in due else []
    bakes = _bakes(image, parent) if action.kind != "publish" else {}
    verify = _verify(image.name) if f"bake-private {image.name}" in bakes else {}
    children = any(images[name].parent == image.name for name in due)
    publish = _publish(image, [*bakes, *verify], channel, keep_disk=children)
    return {**bakes, **verify, **publish}


def _bakes(image: ImageDefinition, needs: list[str]) -> Jobs:
    jobs = {}
    for duty in BAKES:
        if builders := used(image, duty):
            options = " ".join(f"--builder {builder}" for builder in builders)
            jobs[f"{duty} {image.name}"] = {
                "stage": "bake",
                "tags": [RUNNERS[duty]],
                "variables": _role(duty),
                "needs": list(needs),
                "script": [f"section bake 'Bake {image.name}' bakery bake {image.name} {options}"],
                "artifacts": _artifacts(ARTIFACTS, LOGS),
            }
    return jobs


def _verify(name: str) -> Jobs:
    job = {
        "stage": "verify",
        "tags": [RUNNERS["bake-private"]],
        "variables": _role("bake-private"),  # it searches the disk for the secrets of the bake
        "needs": [f"bake-private {name}"],
        "script": [f"due {name} || exit 0", f"section verify 'Test {name}' bakery verify {name}"],
        "artifacts": _artifacts(f"{ARTIFACTS}*/verdict.json", LOGS),
    }
    return {f"verify {name}": job}


def _publish(image: ImageDefinition, needs: list[str], channel: str, *, keep_disk: bool) -> Jobs:
    """Where it was baked; with the disk in the local target for the images that are built on it here."""
    name = image.name
    option = f" --channel {shlex.quote(channel)}" if channel else ""
    kept = [f"{ARTIFACTS}*/publication*.json", LOGS, *([STORE] if keep_disk else [])]
    job = {
        "stage": "publish",
        "tags": [RUNNERS["bake-private" if used(image, "bake-private") else "bake-public"]],
        "variables": _role("publish"),
        # An environment is an account. GitLab's lock spares a pipeline the wait for ours; ours also holds for laptops.
        "resource_group": f"publish/{name}/$BAKERY_ENVIRONMENT",
        "needs": needs,
        "script": [f"due {name} || exit 0", f"section publish 'Publish {name}' bakery publish {name}{option}"],
        "artifacts": _artifacts(*kept),
    }
    return {f"publish {name}": job}


def _apply() -> Job:
    """Waits for all stages before it: a list of needs would end at GitLab's limit of 50."""
    return {
        "stage": "apply",
        "tags": [RUNNERS["bake-public"]],
        "rules": [{"if": "$BAKERY_ENVIRONMENT"}],
        "variables": _role("apply"),
        "resource_group": "apply/images/$BAKERY_ENVIRONMENT",
        "dependencies": [],
        "script": [
            'eval "$(bakery env)"',
            "section apply 'Hand the IDs to Terraform' cdktf deploy images --auto-approve --outputs-file images.json",
        ],
        "artifacts": {"expire_in": KEPT, "paths": ["images.json"]},
    }


def _nothing() -> Job:
    return {"stage": "bake", "before_script": [], "script": ["echo 'Every image is up to date.'"]}


def _role(duty: Duty) -> dict[str, str]:
    """As vault/set-up.sh names it."""
    return {"VAULT_ROLE": f"bakery-{duty}"}


def _artifacts(*paths: str) -> Job:
    """Also of a failed job: its logs say why."""
    return {"when": "always", "expire_in": KEPT, "paths": list(paths)}
