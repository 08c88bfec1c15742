"""Checks a definition without a cloud, Vault or a build."""

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from bakery.bake import check_mode, check_roles, validator
from bakery.clouds import CLOUDS
from bakery.clouds.definitions import load_valid
from bakery.engine import toolbox
from bakery.engine.session import Session, locate, open_catalog
from bakery.host.errors import UsageError, raise_all, suggest
from bakery.host.parallel import Outcome, run_parallel
from bakery.model.definition import Definitions, ImageDefinition
from bakery.model.lock import load_lock
from bakery.verify import check_exemptions


def check_folder(definitions: Path, workspace: Path, names: Sequence[str]) -> list[Outcome[str]]:
    """Check the named definitions of a folder, or all, and the templates that they use; an outcome for each.

    A definition that cannot be read does not hide the errors of others.
    """
    try:
        project = locate(definitions, workspace)
        valid, errors = load_valid(definitions)
        selected = _select_valid(valid, names) if errors else valid.select(names)
    except UsageError as error:
        return [Outcome(str(definitions), None, error)]
    session = Session(project, valid, open_catalog(project, ""))
    outcomes = [Outcome[str](str(definitions), None, error) for error in errors]
    incorrect = {error.where.rpartition(":")[0] for error in errors}  # a file that is wrong is not shown as right, too
    outcomes += [
        outcome for outcome in _check_definitions(session, selected) if outcome.error or outcome.name not in incorrect
    ]
    if any(outcome.error for outcome in outcomes):
        return outcomes
    return outcomes + _check_templates(session, selected)


def _select_valid(valid: Definitions, names: Sequence[str]) -> list[ImageDefinition]:
    """The named definitions, or all. A name without one is left out: the error of its file is reported already."""
    return [definition for definition in valid.images.values() if not names or definition.name in names]


def _check_definitions(session: Session, selected: Sequence[ImageDefinition]) -> list[Outcome[str]]:
    by_file = {str(session.definitions.sources[definition.name]): definition for definition in selected}

    def check_file(name: str) -> str:
        check(session, by_file[name])
        return name

    return run_parallel(list(by_file), check_file, 1)


def _check_templates(session: Session, selected: Sequence[ImageDefinition]) -> list[Outcome[str]]:
    templates = {str(template): template for template in validator.select_templates(selected)}
    if not templates:
        return []
    toolchain = toolbox.toolchain(session.project, "tcg")  # both give the same result

    def validate(name: str) -> str:
        validator.validate_template(session.project, templates[name], toolchain)
        return name

    return run_parallel(list(templates), validate, os.cpu_count() or 1)


def check_all(session: Session, definitions: Iterable[ImageDefinition]) -> None:
    """Raise UsageError with every error of some definitions."""
    _run_all(partial(check, session, definition) for definition in definitions)


def check(session: Session, definition: ImageDefinition) -> None:
    """Raise UsageError with the `file:line` of every error."""

    def where(*keys: str | int) -> str:
        return session.definitions.where(definition.name, *keys)

    checks: list[Callable[[], object]] = [
        partial(check_roles, session.project, definition, where),
        partial(check_mode, session.project, definition, where),
        partial(check_exemptions, definition, where),
        partial(_check_template, session, definition, where),
        partial(load_lock, definition, session.definitions.sources[definition.name]),
        partial(_check_tests, session, definition, where),
        *(partial(CLOUDS[target].check, definition, where) for target in definition.distribution.by_target),
    ]
    _run_all(checks)


def _run_all(checks: Iterable[Callable[[], object]]) -> None:
    """Run every check, and raise the errors of all."""
    errors: list[UsageError] = []
    for run_check in checks:
        try:
            run_check()
        except UsageError as error:
            errors.append(error)
    raise_all(errors)


def _check_tests(session: Session, definition: ImageDefinition, where: Callable[..., str]) -> None:
    resources = session.project.resources
    paths = [resources.image_test(name) for name in definition.tests]
    raise_all(
        [
            UsageError(
                f"no test named '{name}'",
                where=where("tests", number),
                hint=suggest(name, resources.image_tests()) or f"write {path}",
            )
            for number, (name, path) in enumerate(zip(definition.tests, paths, strict=True))
            if not path.is_file()
        ]
    )


def _check_template(session: Session, image: ImageDefinition, where: Callable[..., str]) -> None:
    if image.template and not list((session.project.definitions / image.template).glob("*.pkr.hcl")):
        raise UsageError(
            f"no *.pkr.hcl in '{image.template}'",
            where=where("template"),
            hint="name a folder relative to the definitions; docs/how-to/bring-your-own-template.md has the contract",
        )
