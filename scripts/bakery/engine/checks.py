"""Checks a definition without a cloud, Vault or a build."""

from collections.abc import Callable

from bakery.bake import check_mode, check_roles
from bakery.clouds import CLOUDS
from bakery.engine.session import Session
from bakery.host.errors import UsageError
from bakery.model.definition import ImageDefinition


def check(session: Session, image: ImageDefinition) -> None:
    """UsageError with `file:line` for the first thing that is wrong."""

    def where(*keys: str | int) -> str:
        return session.definitions.where(image.name, *keys)

    check_roles(session.project, image, where)
    check_mode(session.project, image, where)
    _check_template(session, image, where)
    for number, name in enumerate(image.tests):
        path = session.project.resources.image_test(name)
        if not path.is_file():
            raise UsageError(
                f"no test named '{name}'",
                where=where("tests", number),
                hint=f"write {path}",
            )
    for target in image.distribution.by_target:
        CLOUDS[target].check(image, where)


def _check_template(session: Session, image: ImageDefinition, where: Callable[..., str]) -> None:
    if image.template and not list((session.project.definitions / image.template).glob("*.pkr.hcl")):
        raise UsageError(
            f"no *.pkr.hcl in '{image.template}'",
            where=where("template"),
            hint="name a folder relative to the definitions; docs/how-to/bring-your-own-template.md has the contract",
        )
