"""What tests do with deployed stacks, and the product never does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bakery.host import process
from bakery.infra import env
from bakery.infra.cdktf import Cdktf
from bakery.infra.terraform import Terraform

SECONDS = 3600.0
DISTRIBUTION = "distribution"


def destroy(cdktf: Cdktf, *stacks: str) -> None:
    """Remove what stacks made. What vanished by itself is no hindrance, nor is a stack that reads one of them."""
    # A destroy that refreshes first fails where a parameter that the images stack checks is gone.
    _destroy(cdktf, [stack for stack in stacks if stack != DISTRIBUTION], "-refresh=false")
    # The bucket's lock is a resource of its own, so that the bucket's state has it after a refresh.
    _destroy(cdktf, [stack for stack in stacks if stack == DISTRIBUTION], "-refresh=true")


def _destroy(cdktf: Cdktf, stacks: Sequence[str], refresh: str) -> None:
    if not stacks:
        return
    # Without the last option cdktf insists on stacks that read these by name, also where they were never deployed.
    options = ("--auto-approve", "--no-color", "--parallelism=1", "--ignore-missing-stack-dependencies")
    process.run(
        ["cdktf", "destroy", *stacks, *options, f"--output={cdktf.output}"],
        env={**env.for_child(cdktf.project, cdktf.environment), "TF_CLI_ARGS_destroy": refresh},
        cwd=cdktf.project.root,
        timeout=SECONDS,
    )


def destroy_one(terraform: Terraform, plan: Path) -> None:
    """Remove what one stack made, by a plan that is saved to `plan`."""
    terraform.plan(plan, destroy=True)
    terraform.apply(plan)


def outputs(terraform: Terraform) -> dict[str, Any]:
    """Values of a stack's outputs, as they are in the state."""
    terraform.init()
    return {name: output.value for name, output in terraform.output().items()}
