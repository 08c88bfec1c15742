"""`bakery ci`: a plan as a GitLab pipeline."""

from pathlib import Path
from typing import Annotated

import typer

from bakery.cli import options
from bakery.engine.gitlab import Settings, pipeline, render
from bakery.engine.plan import Plan
from bakery.engine.runner_image import choose_image
from bakery.engine.session import open_session
from bakery.model import documents


def ci(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="The file that 'bakery plan --json' printed.")],
    runner_image: Annotated[str, typer.Option("--runner-image", help="Container image that jobs run in, by digest.")],
    vault_audience: Annotated[
        str, typer.Option("--vault-audience", help="Audience of the jobs' tokens for Vault, without /DUTY.")
    ],
    built: Annotated[
        Path | None,
        typer.Option("--built", metavar="FILE", help="File that names a newer image of the same repository, if any."),
    ] = None,
    environment: Annotated[
        str, typer.Option("--environment", envvar="BAKERY_ENVIRONMENT", help="Environment to apply; empty for none.")
    ] = "",
    target: Annotated[options.TargetName, typer.Option("--target", help="Only images of this target.")] = options.ALL,
    channel: options.FollowingChannel = "",
    fail_on: options.FailOnDifference = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
) -> None:
    """Print the GitLab pipeline of a plan.

    The pipeline bakes, tests, publishes and applies all that is due. Each job gets the rights of one duty. A runner
    image without a digest is refused, and so is a newer one of another repository. The same plan gives the same text.

    Example: bakery ci plan.json --runner-image "$IMAGE" --vault-audience https://vault.example.com > pipeline.yml
    """
    document = documents.load(Plan, plan)
    session = open_session(definitions, workspace, options.CATALOG)
    session.definitions.select(action.image for action in document.actions)
    newer = built.read_text(encoding="utf-8").strip() if built and built.is_file() else ""
    image = choose_image(runner_image, newer)
    settings = Settings(image, vault_audience, environment, target, channel, fail_on is not None)
    print(render(pipeline(document, session.definitions.images, settings)), end="")
