"""`bakery env`: the variables that cdktf and Terraform need when run by hand."""

import os
import shlex

from bakery.cli import options
from bakery.engine.session import locate_stacks
from bakery.infra.env import variables


def env(workspace: options.Workspace = options.WORKSPACE) -> None:
    """Print exports for cdktf and Terraform.

    Sets the environment (BAKERY_ENVIRONMENT, default demo), the paths of Node and Terraform, and the provider mirror if
    BAKERY_TERRAFORM_MIRROR names one.

    Example: eval "$(bakery env)" && cdktf diff images
    """
    exports = variables(locate_stacks(options.DEFINITIONS, workspace), os.environ)
    for name in sorted(exports):
        print(f"export {name}={shlex.quote(exports[name])}")
