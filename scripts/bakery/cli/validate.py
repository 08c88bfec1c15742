"""`bakery validate`: is every definition right, before anything is started."""

from bakery.bake import check_mode, check_roles
from bakery.cli import options
from bakery.cli.session import Session, quick_session
from bakery.definition import ImageDefinition
from bakery.errors import UsageError


def validate(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
) -> int:
    """Check definitions before anything starts.

    Keys, types, lineage, roles, tests and regions; errors say file:line.

    Example: bakery validate --definitions packer/images
    """
    session = quick_session(definitions, workspace, options.CATALOG)
    for image in session.definitions.select(images or []):
        check(session, image)
        print(f"{session.definitions.sources[image.name]}: ok")
    return 0


def check(session: Session, image: ImageDefinition) -> None:
    """Everything about a definition that can be known without a cloud, Vault or a build."""

    def where(*keys: str | int) -> str:
        return session.definitions.where(image.name, *keys)

    check_roles(session.project, image, where)
    check_mode(session.project, image, where)
    for number, name in enumerate(image.tests):
        if not (session.project.image_tests / f"test_{name}.py").is_file():
            raise UsageError(
                f"no test named '{name}'",
                where=where("tests", number),
                hint=f"write {session.project.image_tests}/test_{name}.py",
            )
    if image.distribution.aws:
        from bakery.publish.aws import check_regions  # boto3 takes 150 ms to import

        check_regions(image, where)
