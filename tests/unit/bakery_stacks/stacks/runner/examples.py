"""A runner stack with literal values where other stacks would be, for the tests of its parts."""

import json
from pathlib import Path
from typing import Any

from bakery_stacks.channel_images import ChannelImages
from bakery_stacks.config import Environment, Settings
from bakery_stacks.outputs import DistributionOutputs, NetworkOutputs
from bakery_stacks.program import new_app
from bakery_stacks.stacks.runner.config_toml import ResourceNames
from bakery_stacks.stacks.runner.settings import Runner
from bakery_stacks.stacks.runner.stack import RunnerStack, StackInputs

NETWORK = NetworkOutputs("vpc-1", "10.0.0.0/16", ["subnet-a", "subnet-b", "subnet-c"])
DISTRIBUTION = DistributionOutputs(
    {"eu-west-1": "arn:aws:kms:eu-west-1:123456789012:key/1"},
    "arn:aws:s3:::prod-catalog",
    "arn:aws:sns:eu-west-1:123456789012:new-images",
)
PLACES = ResourceNames(
    "bakery-prod-runner",
    "eu-west-1",
    "bakery-prod-runner-manager",
    "bakery-prod-runner-workers",
    "bakery-prod-runner-cache-123456789012",
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
)
SECTION: dict[str, Any] = {
    "gitlab_url": "https://gitlab.example.com",
    "token_parameter": "/prod/runner/token",
    "workers": {"instance_type": "m6i.large", "max_instances": 4},
    "docker": {"image": "alpine:3.22"},
    "bakes": {
        "by": "oidc",
        "oidc": {"subjects": [{"project": "platform/images", "ref": "main"}]},
    },
}
LOGIN = {"public_key": "ssh-ed25519 AAAAC3Nza", "private_key_parameter": "/prod/runner/worker-key"}
SPOT = {"instance_types": ["m6i.large", "m6a.large"], "on_demand_base": 1}


def section(**change: Any) -> Runner:
    """The settings above with other ones; those of `workers` are put together."""
    workers = {**SECTION["workers"], **change.pop("workers", {})}
    given = {**SECTION, **change, "workers": {name: value for name, value in workers.items() if value is not None}}
    return Runner.model_validate_json(json.dumps(given))


def synthesize(
    outdir: Path, environment: Environment, runner: Runner, found: ChannelImages | None, stand_in: bool = False
) -> dict[str, Any]:
    """The parsed cdk.tf.json of the stack."""
    app = new_app(outdir)
    settings = Settings(environment, environment.catalog, stand_in)
    RunnerStack(app, settings, runner, StackInputs(NETWORK, DISTRIBUTION, found))
    app.synth()
    made: dict[str, Any] = json.loads((outdir / "stacks" / "runner" / "cdk.tf.json").read_bytes())
    return made
