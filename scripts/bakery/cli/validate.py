"""`bakery validate`: check every definition and every image file before anything starts."""

from bakery.cli import options, reportfile
from bakery.engine.checks import check_folder
from bakery.host.errors import raise_all
from bakery.reports import render_junit


def validate(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    report: options.JunitReport = None,
) -> int:
    """Check definitions and image files before anything starts.

    Checks keys, types, lineage, roles, tests and regions of definitions. If all are correct, runs Packer's own
    validator on every template that they use. Shows every error with its file:line. Checks roles, tests and regions of
    a file only if its keys and types are correct.

    Example: bakery validate --definitions packer/images
    """
    outcomes = check_folder(definitions, workspace, images or [])
    with reportfile.write_at_end(
        report, lambda: render_junit("bakery validate", [(outcome.name, outcome.error) for outcome in outcomes])
    ):
        for outcome in outcomes:
            if not outcome.error:
                print(f"{outcome.name}: ok")
        raise_all([outcome.error for outcome in outcomes if outcome.error])
    return 0
