"""Ask for the newest bases of vendors: what a bake starts from, and what a refresh keeps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bakery.catalog import now
from bakery.clouds import CLOUDS
from bakery.engine.logins import open_vault, read_credentials
from bakery.engine.session import Session
from bakery.host import parallel
from bakery.host.events import report_step
from bakery.host.parallel import Outcome
from bakery.layers import checksums
from bakery.model.bases import QEMU
from bakery.model.definition import ImageDefinition
from bakery.model.documents import VendorBase
from bakery.model.observations import BaseKey, BaseObservation, Observations


@dataclass(frozen=True)
class _Question:
    """A question to a vendor: images with equal questions share one answer.

    `settings` are those of the target, as JSON, with the region, the server and the login; for a disk those of the
    base, with the list.
    """

    builder: str
    source: str
    arch: str
    settings: str


def find_base(
    session: Session, definition: ImageDefinition, builder: str, credentials: Mapping[str, str]
) -> VendorBase | None:
    """The newest base of the definition's vendor; None if the builder starts from a base that stays the same.

    It was found when the question was asked, so that a base which the vendor replaces meanwhile counts as newer.
    """
    if not definition.base.by_builder[builder].vendor_source:
        return None
    began = now()
    if builder == QEMU:
        assert definition.base.qemu
        base = checksums.find_base(definition.base.qemu, session.project.cache)
    else:
        find = CLOUDS[builder].find_base
        assert find  # a cloud with vendors' bases has this function
        base = find(definition, credentials)
    return replace(base, at=began)


def observe_bases(
    session: Session, images: Iterable[ImageDefinition], previous: Observations, jobs: int
) -> tuple[list[Outcome[VendorBase | None]], list[BaseObservation]]:
    """Ask for the newest vendors' bases of images that have a complete version: others are due anyway.

    Returns an outcome for each question, and what is known now of each image.
    """
    questions: dict[_Question, list[ImageDefinition]] = {}
    for image in images:
        for question in _list_questions(image):
            if session.newest_record(image):
                questions.setdefault(question, []).append(image)
    names = {
        f"{question.builder} {question.source} for {asking[0].name}": question for question, asking in questions.items()
    }
    work = {name: (question.builder, questions[question][0]) for name, question in names.items()}
    outcomes = parallel.run_parallel(list(work), lambda name: _ask_vendor(session, *work[name]), jobs)
    earlier = previous.bases_by_key
    return outcomes, [
        _observe_base(image, names[outcome.name], outcome.result, earlier)
        for outcome in outcomes
        if outcome.result
        for image in questions[names[outcome.name]]
    ]


def _list_questions(image: ImageDefinition) -> Iterable[_Question]:
    for builder in image.builders:
        base = image.base.by_builder[builder]
        settings = image.distribution.by_target.get(builder, base)
        if base.vendor_source:
            yield _Question(builder, base.vendor_source, image.arch, settings.model_dump_json())


def _ask_vendor(session: Session, builder: str, image: ImageDefinition) -> VendorBase | None:
    with (
        report_step(session.report, "refresh", image.name, f"look for the newest base at {builder}"),
        open_vault(image.distribution.credentials(builder)) as vault,
    ):
        return find_base(session, image, builder, read_credentials(vault, image, builder))


def _observe_base(
    image: ImageDefinition,
    question: _Question,
    base: VendorBase,
    earlier: Mapping[BaseKey, BaseObservation],
) -> BaseObservation:
    previous = earlier.get((image.name, image.arch, question.builder))
    unchanged = previous is not None and (previous.source, previous.base.identity) == (question.source, base.identity)
    since = previous.since if previous and unchanged else base.at
    return BaseObservation(image.name, image.arch, question.builder, question.source, base, since)
