"""The state of a template to clone. vCenter's REST API does not have it, so this asks the SOAP API (vim25)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from xml.sax.saxutils import escape

from bakery.clouds.builder import require
from bakery.clouds.vsphere.builder import FIELDS
from bakery.clouds.vsphere.session import VIM, SoapSession
from bakery.clouds.vsphere.settings import VsphereBase, VsphereDistribution
from bakery.host.errors import BakeryError
from bakery.model.definition import ImageDefinition
from bakery.model.documents import VendorBase

INSTANCE, CHANGE, MODIFIED = "config.instanceUuid", "config.changeVersion", "config.modified"


def find_base(definition: ImageDefinition, credentials: Mapping[str, str]) -> VendorBase:
    """The template as it is now. Its identity changes with each change of its configuration, as a start is.

    BakeryError if there is no machine or template with the name.
    """
    base, settings = definition.base.of(VsphereBase), definition.distribution.of(VsphereDistribution)
    assert base and base.template and settings and settings.build
    require(credentials, FIELDS, "vCenter")
    with log_in(settings.server, credentials) as session:
        path = _inventory_path(settings.build.datacenter, base.template)
        machines = session.call(
            "FindByInventoryPath", "SearchIndex", "SearchIndex", f"<inventoryPath>{escape(path)}</inventoryPath>"
        )
        if not machines or not machines[0].text:
            raise BakeryError(
                f"vCenter has no machine or template {path}",
                where=settings.server,
                hint="check base.vsphere.template, and that the login may read it",
            )
        properties = _read_properties(session, machines[0].text)
    if not properties.get(CHANGE):
        raise BakeryError(f"vCenter does not say which state {path} has", where=settings.server)
    identity = f"{properties[CHANGE]} {properties.get(INSTANCE, '')}".rstrip()
    return VendorBase(identity, f"template {base.template}", properties.get(MODIFIED, "")[:10])


def _inventory_path(datacenter: str, template: str) -> str:
    """The path that Packer means: below the datacenter's folder of machines, unless it begins at the root."""
    return template.lstrip("/") if template.startswith("/") else f"{datacenter}/vm/{template}"


def _read_properties(session: SoapSession, machine: str) -> dict[str, str]:
    paths = "".join(f"<pathSet>{path}</pathSet>" for path in (INSTANCE, CHANGE, MODIFIED))
    spec = (
        f"<specSet><propSet><type>VirtualMachine</type>{paths}</propSet>"
        f'<objectSet><obj type="VirtualMachine">{escape(machine)}</obj></objectSet></specSet><options/>'
    )
    answers = session.call("RetrievePropertiesEx", "propertyCollector", "PropertyCollector", spec)
    return {
        entry.findtext(f"{VIM}name", ""): entry.findtext(f"{VIM}val", "")
        for answer in answers
        for entry in answer.iter(f"{VIM}propSet")
    }


@contextmanager
def log_in(server: str, credentials: Mapping[str, str]) -> Iterator[SoapSession]:
    """A session of the SOAP API until the block ends."""
    session = SoapSession(server)
    login = (
        f"<userName>{escape(credentials['username'])}</userName><password>{escape(credentials['password'])}</password>"
    )
    session.call("Login", "SessionManager", "SessionManager", login)
    try:
        yield session
    finally:
        with suppress(BakeryError):  # a session that is left ends by itself
            session.call("Logout", "SessionManager", "SessionManager")
