"""`bakery ci`: a plan as a GitLab pipeline."""

from pathlib import Path
from typing import Annotated

import typer

from bakery.cli import options
from bakery.engine.gitlab import Settings, pipeline, render
from bakery.engine.plan import Plan
from bakery.engine.session import open_session
from bakery.model import documents


def ci(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="The file that 'bakery plan --json' printed.")],
    runner_image: Annotated[str, typer.Option("--runner-image", help="Container image that the jobs run in.")],
    target: Annotated[options.TargetName, typer.Option("--target", help="Only images of this target.")] = options.ALL,
    channel: options.FollowingChannel = "",
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
) -> None:
    """Print the GitLab pipeline of a plan.

    The pipeline bakes, tests, publishes and applies all that is due. The same plan gives the same text.

    Example: bakery ci plan.json --runner-image registry.example.com/bakery/runner:1 > bakery-pipeline.yml
    """
    document = documents.load(Plan, plan)
    session = open_session(definitions, workspace, options.CATALOG)
    session.definitions.select(action.image for action in document.actions)
    print(render(pipeline(document, session.definitions.images, Settings(runner_image, target, channel))), end="")
