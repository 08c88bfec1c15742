"""Looks for everything that due images need before the first one is baked, and names all that is missing at once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from bakery.bake.bake import check_folders, check_rights
from bakery.bake.space import needed_space
from bakery.bake.variables import check_size
from bakery.clouds import BUILDERS, CLOUDS
from bakery.clouds.job import find_template
from bakery.contents import require_readable
from bakery.engine import vault_check
from bakery.engine.checks import check
from bakery.engine.failures import keep_failure
from bakery.engine.logins import open_vault
from bakery.engine.notices import announce_stop
from bakery.engine.packages import find_missing_packages
from bakery.engine.parents import find_copies
from bakery.engine.session import Session
from bakery.engine.tool_checks import find_faults
from bakery.host import files
from bakery.host.errors import BakeryError, ExitCode, UsageError, raise_all
from bakery.host.events import report_step
from bakery.host.parallel import is_interrupted
from bakery.host.text import count_of
from bakery.layers.base import find_disk_size
from bakery.layers.debian import NEEDED_BYTES
from bakery.machine import network
from bakery.machine.timeout import ssh_timeout
from bakery.model.bases import QEMU
from bakery.model.definition import ImageDefinition
from bakery.model.project import Project, name_shared_layers
from bakery.model.version import ImageVersion
from bakery.signing import Duty

ANSIBLE = "packer-plugin-ansible"
# Names of `tool_checks`. The tools that read and write a disk, and those that start a guest and talk to it.
DISK_TOOLS = ("qemu-img", "sfdisk", "mtools", "dumpe2fs", "debugfs")
GUEST_TOOLS = ("qemu", "UEFI firmware", "ssh")


@dataclass(frozen=True)
class Work:
    """The work on a due image: the builders that make it, and the targets at which it is published.

    A version that is baked already needs no builder, and a bake alone publishes nothing. `version` is the one that the
    bake makes from the `inputs`. They and their key are empty for an image that waits.
    """

    definition: ImageDefinition
    builders: Sequence[str]
    targets: Sequence[str]
    version: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    input_key: str = ""

    @property
    def duties(self) -> list[Duty]:
        """The duties whose keys sign the documents of this work."""
        duties: list[Duty] = [BUILDERS[name].duty for name in self.builders]
        if self.targets:
            duties += ["verify", "publish"] if QEMU in self.builders else ["publish"]
        return duties


@dataclass(frozen=True)
class Lack:
    """Something that cannot be used, as an error, and the images that need it; none if the error says that.

    `definition` is the image whose definition causes it; empty if it is this machine, a login or a value in Vault.
    """

    error: BakeryError
    images: tuple[str, ...] = ()
    definition: str = ""


@dataclass(frozen=True)
class _Login:
    """A login at a target: images with equal logins share one answer. Without a path, it is in the environment."""

    target: str
    path: str
    settings: str


def require_all(session: Session, work: Sequence[Work]) -> None:
    """Raise one error with everything that the work lacks. Without work, nothing is looked at.

    A mistake in a definition is a failure of its image first, in the step `check`.
    """
    if not work:
        return
    with report_step(session.report, "check", count_of(len(work), "image"), "look at what the work needs"):
        lacks = [
            *_definition_lacks(session, work),
            *_package_lacks(session, work),
            *_machine_lacks(session, work),
            *_tool_lacks(session.project, work),
            *_key_lacks(session, work),
            *_login_lacks(session, work),
        ]
        failures = {each.definition.name: each for each in work if each.input_key}
        others = _join_equal(lack for lack in lacks if lack.definition not in failures)
        if not is_interrupted():
            _keep_failures(session, failures, lacks)
            _announce_others(session, work, others)
        errors = [*_join_equal(lack for lack in lacks if lack.definition in failures), *others]
        # The first error decides the exit code: to try again helps only if all of them ask for it.
        raise_all(sorted(errors, key=lambda error: error.exit_code == ExitCode.TRY_AGAIN))


def _keep_failures(session: Session, failures: Mapping[str, Work], lacks: Sequence[Lack]) -> None:
    """Keep one failure of each image whose definition causes lacks, so that `max_failures` ends a series of them."""
    for name, work in failures.items():
        if messages := [lack.error.message for lack in lacks if lack.definition == name]:
            more = f", and {len(messages) - 1} more" if len(messages) > 1 else ""
            keep_failure(session, work.definition, "check", work.input_key, f"{messages[0]}{more}")


def _announce_others(session: Session, work: Sequence[Work], errors: Sequence[BakeryError]) -> None:
    """Announce errors that no definition causes, or that no image can be paused for. An outage passes by itself."""
    if lasting := [error for error in errors if error.exit_code != ExitCode.TRY_AGAIN]:
        announce_stop(session, [each.definition.name for each in work], lasting)


def _join_equal(lacks: Iterable[Lack]) -> list[BakeryError]:
    """One error for each mistake, with the images that need the same."""
    groups: dict[tuple[str, ...], list[Lack]] = {}
    for lack in lacks:
        where = () if lack.images else (lack.error.where,)
        groups.setdefault((lack.error.message, lack.error.hint, *where), []).append(lack)
    return [_join_group(group) for group in groups.values()]


def _join_group(lacks: Sequence[Lack]) -> BakeryError:
    error = lacks[0].error
    if images := dict.fromkeys(image for lack in lacks for image in lack.images):
        error.detail = "\n".join(filter(None, (error.detail, f"needed by {', '.join(images)}")))
    return error


def _try_check(check: Callable[[], object], *images: str) -> Iterator[Lack]:
    """The lack that a check finds for these images, if it finds one."""
    try:
        check()
    except BakeryError as error:
        yield Lack(error, images)


def _definition_lacks(session: Session, work: Sequence[Work]) -> Iterator[Lack]:
    for each in work:
        try:
            check(session, each.definition)
        except BakeryError as error:
            others, error.others = error.others, ()
            yield from (_blame_definition(each.definition.name, one) for one in (error, *others))


def _blame_definition(name: str, error: BakeryError) -> Lack:
    """A file that cannot be read is not the fault of a definition."""
    return Lack(error, definition=name) if isinstance(error, UsageError) else Lack(error, (name,))


def _package_lacks(session: Session, work: Sequence[Work]) -> Iterator[Lack]:
    bakes = [(each.definition, each.inputs) for each in work if each.builders and each.inputs]
    yield from (Lack(error, definition=name) for name, error in find_missing_packages(session, bakes))


def _machine_lacks(session: Session, work: Sequence[Work]) -> Iterator[Lack]:
    """The folders, rights, settings and free space of this machine that bakes need."""
    bakes = [each for each in work if each.builders]
    if not bakes:
        return
    yield from _try_check(partial(check_folders, session.project))
    yield from _try_check(partial(ssh_timeout, "10m"))
    yield from _try_check(name_shared_layers)
    yield from _try_check(partial(_require_space, session, bakes))
    if any(QEMU in each.builders for each in bakes):
        yield from _try_check(network.allowed_ports)
    if not all(each.definition.windows for each in bakes):
        yield from _try_check(partial(require_readable, session.project.workspace))
    for each in bakes:
        name = each.definition.name
        yield from _try_check(partial(check_rights, each.definition, session.definitions.where(name, "mode")), name)


def _require_space(session: Session, bakes: Sequence[Work]) -> None:
    """DiskError if the largest bake would not fit. Each bake looks again when it knows the disk that it starts from."""
    needs = [_measure_need(session, each.definition) for each in bakes if _makes_disk(session.project, each)]
    if needs:
        needed, purpose = max(needs)
        files.require_space(session.project.workspace, needed, purpose)


def _makes_disk(project: Project, work: Work) -> bool:
    """Whether the work makes a disk here that an interrupted run did not finish."""
    version = ImageVersion(work.definition.name, work.definition.arch, work.version)
    return QEMU in work.builders and not (project.artifact_folder(version) / "disk.qcow2").exists()


def _measure_need(session: Session, definition: ImageDefinition) -> tuple[int, str]:
    """The fewest free bytes that a bake needs, and its purpose."""
    size = _find_base_size(session, definition)
    base = definition.base.qemu
    if not size and base and base.debootstrap:
        return NEEDED_BYTES, f"a Debian {base.debootstrap.suite} base"
    return needed_space(size), f"the bake of {definition.name}"


def _find_base_size(session: Session, definition: ImageDefinition) -> int:
    """The bytes of the disk that a bake starts from, or of the newest that is here; 0 if there is none."""
    if definition.parent:
        parent = session.definitions.images[definition.parent]
        record = session.catalog.newest(parent.name, parent.arch, parent.version)
        copies = find_copies(session.project, record) if record else []
        return files.find_used_space(copies[0]) if copies else _find_base_size(session, parent)
    return find_disk_size(definition.base.qemu, session.project.cache) if definition.base.qemu else 0


def _tool_lacks(project: Project, work: Sequence[Work]) -> Iterator[Lack]:
    images: dict[str, list[str]] = {}
    for each in work:
        for tool in _list_tools(project, each):
            images.setdefault(tool, []).append(each.definition.name)
    for tool, error in find_faults(project, images):
        yield Lack(error, tuple(images[tool]))


def _list_tools(project: Project, work: Work) -> Iterator[str]:
    """The names of the tools that bakes and tests start, to their end."""
    definition = work.definition
    if not work.builders:
        return
    yield from ("packer", "ansible-core")
    for name in work.builders:
        yield from _list_plugins(project, definition, name)
    if not definition.windows:
        yield "syft"
    if definition.vulnerabilities:
        yield "grype"
    if QEMU in work.builders:
        yield from _list_disk_tools(work)


def _list_plugins(project: Project, definition: ImageDefinition, builder: str) -> Iterator[str]:
    """The plugins of Packer that the template of a builder requires, by the addresses in it."""
    if builder == QEMU and not definition.provisioned:
        return
    templates = find_template(project, definition, builder).glob("*.pkr.hcl")
    text = "".join(path.read_text() for path in templates)
    for plugin in (ANSIBLE, BUILDERS[builder].plugin):
        if f'hashicorp/{plugin.removeprefix("packer-plugin-")}"' in text:
            yield plugin


def _list_disk_tools(work: Work) -> Iterator[str]:
    definition = work.definition
    yield from DISK_TOOLS
    if definition.base.qemu and definition.base.qemu.debootstrap:
        yield "mmdebstrap"
    if definition.provisioned:
        yield "network"
    if definition.provisioned and definition.mode == "vm":
        yield "xorriso"
        yield from GUEST_TOOLS
    elif work.targets and not definition.windows:  # it is tested in a guest
        yield from GUEST_TOOLS


def _key_lacks(session: Session, work: Sequence[Work]) -> Iterator[Lack]:
    for duty in dict.fromkeys(duty for each in work for duty in each.duties):
        yield from _try_check(partial(session.keyring.require_signer, duty))


def _login_lacks(session: Session, work: Sequence[Work]) -> Iterator[Lack]:
    """The secrets and credentials in Vault that cannot be used, and the logins that a cloud refuses."""
    logins: dict[_Login, list[ImageDefinition]] = {}
    for each in work:
        for login in _list_logins(each):
            logins.setdefault(login, []).append(each.definition)
    needs = [
        need
        for each in work
        for need in vault_check.due_needs(session.definitions, each.definition, each.builders, each.targets)
    ]
    answers = vault_check.Answers()
    fields: dict[str, dict[str, str]] = {"": {}}
    try:
        with open_vault(*needs) as vault:
            if vault:
                answers = vault_check.ask(vault, needs)
                fields |= vault_check.read_stored(vault, answers, {login.path for login in logins})
    except BakeryError as error:
        yield Lack(error, tuple(need.image for need in needs))
    for answer in answers.checks:
        if not answer.answer:
            yield Lack(BakeryError(answer.problem, where=answer.where, hint=answer.hint), (answer.image,))
    yield from _size_lacks(session, work, answers)
    for login, images in logins.items():
        if login.path in fields:  # reading a login that Vault creates would create it
            try_login = partial(CLOUDS[login.target].try_login, images[0], fields[login.path])
            yield from _try_check(try_login, *(image.name for image in images))


def _size_lacks(session: Session, work: Sequence[Work], answers: vault_check.Answers) -> Iterator[Lack]:
    """The images whose secrets are too long together for a bake."""
    for definition in (each.definition for each in work if each.builders):
        places = {name: (secret.path, secret.key) for name, secret in definition.secrets.items()}
        values = {name: answers.values[place] for name, place in places.items() if place in answers.values}
        where = session.definitions.where(definition.name, "secrets")
        yield from _try_check(partial(check_size, definition, values, where), definition.name)


def _list_logins(work: Work) -> Iterator[_Login]:
    distribution = work.definition.distribution
    for target, settings in distribution.by_target.items():
        paths = []
        if target in work.builders:
            paths.append(distribution.build_credentials(target))
        if target in work.targets:
            paths.append(distribution.credentials(target))
        for path in dict.fromkeys(paths):
            yield _Login(target, path or "", settings.model_dump_json())
