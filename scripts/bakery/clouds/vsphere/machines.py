"""Virtual machines, which vCenter's REST API knows without their settings: this asks the SOAP API (vim25)."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from bakery.clouds.vsphere.session import VIM, SoapSession
from bakery.host.errors import BakeryError, NotFoundError
from bakery.host.waiting import wait_until

# Packer sets it on the machine of a build (packer/templates/vsphere/image.pkr.hcl); no export of a machine has it.
BUILD = "bakery.build"
# The time of creation is not in the API of vSphere 6.5, which the session asks for; the last change is.
NAME, SETTINGS, CHANGED, POWER = "name", "config.extraConfig", "config.modified", "runtime.powerState"
UNKNOWN = "1970-"  # vCenter's time of a machine whose change it did not see
TASK_SECONDS = 600.0  # to stop or remove a machine takes seconds


@dataclass(frozen=True)
class Machine:
    """A machine by its ID. `build` is the version that Packer built in it, empty for a machine of somebody else.

    `changed` is the time of its last change, empty if vCenter does not know it.
    """

    id: str
    name: str
    build: str
    changed: str


def list_machines(session: SoapSession, datacenter: str, pattern: re.Pattern[str]) -> list[Machine]:
    """The machines and templates of a datacenter whose whole name matches."""
    view = _create_view(session, datacenter)
    traversal = (
        '<selectSet xsi:type="TraversalSpec"><name>view</name><type>ContainerView</type><path>view</path>'
        "<skip>false</skip></selectSet>"
    )
    where = f'<obj type="ContainerView">{escape(view)}</obj><skip>true</skip>{traversal}'
    try:
        names = {machine: properties[NAME].text or "" for machine, properties in _read_properties(session, where, NAME)}
    finally:
        session.call("DestroyView", view, "ContainerView")
    return [_read_machine(session, machine, name) for machine, name in names.items() if pattern.fullmatch(name)]


def destroy_machine(session: SoapSession, machine: str) -> None:
    """Stop a machine and remove it with its disks; no error if it is gone."""
    with suppress(NotFoundError):
        power = dict(_read_properties(session, _object("VirtualMachine", machine), POWER))[machine][POWER].text
        if power != "poweredOff":
            _run_task(session, "PowerOffVM_Task", machine)
        _run_task(session, "Destroy_Task", machine)


def _create_view(session: SoapSession, datacenter: str) -> str:
    path = f"<inventoryPath>{escape(datacenter)}</inventoryPath>"
    roots = session.call("FindByInventoryPath", "SearchIndex", "SearchIndex", path)
    if not roots or not roots[0].text:
        raise BakeryError(f"vCenter has no datacenter {datacenter}", hint="check distribution.vsphere.build.datacenter")
    container = f'<container type="Datacenter">{escape(roots[0].text)}</container>'
    spec = f"{container}<type>VirtualMachine</type><recursive>true</recursive>"
    return str(session.call("CreateContainerView", "ViewManager", "ViewManager", spec)[0].text)


def _read_machine(session: SoapSession, machine: str, name: str) -> Machine:
    paths = _object("VirtualMachine", machine)
    properties = dict(_read_properties(session, paths, SETTINGS, CHANGED)).get(machine, {})
    changed = (properties[CHANGED].text or "") if CHANGED in properties else ""
    settings = properties[SETTINGS].iter(f"{VIM}OptionValue") if SETTINGS in properties else iter(())
    values = {setting.findtext(f"{VIM}key", ""): setting.findtext(f"{VIM}value", "") for setting in settings}
    return Machine(machine, name, values.get(BUILD, ""), "" if changed.startswith(UNKNOWN) else changed)


def _run_task(session: SoapSession, method: str, machine: str) -> None:
    """Start a task on a machine and wait for it; BakeryError if it fails."""
    task = str(session.call(method, machine, "VirtualMachine")[0].text)

    def state() -> str | None:
        properties = dict(_read_properties(session, _object("Task", task), "info.state", "info.error", kind="Task"))
        text = properties[task]["info.state"].text or ""
        if text == "error":
            error = properties[task].get("info.error")
            detail = error.findtext(f"{VIM}localizedMessage", "") if error is not None else ""
            raise BakeryError(f"vCenter's {method} failed", where=machine, detail=detail)
        return text if text == "success" else None

    if wait_until(state, TASK_SECONDS) is None:
        raise BakeryError(f"vCenter's {method} did not end", where=machine, hint="run again later")


def _object(kind: str, name: str) -> str:
    return f'<obj type="{kind}">{escape(name)}</obj>'


def _read_properties(
    session: SoapSession, where: str, *paths: str, kind: str = "VirtualMachine"
) -> Iterator[tuple[str, dict[str, Element]]]:
    """The values of properties by path, for each object; vCenter answers in pages."""
    path_sets = "".join(f"<pathSet>{path}</pathSet>" for path in paths)
    spec = (
        f"<specSet><propSet><type>{kind}</type>{path_sets}</propSet><objectSet>{where}</objectSet></specSet><options/>"
    )
    answers = session.call("RetrievePropertiesEx", "propertyCollector", "PropertyCollector", spec)
    while answers:
        page = answers[0]
        for content in page.iter(f"{VIM}objects"):
            values = {
                entry.findtext(f"{VIM}name", ""): value
                for entry in content.iter(f"{VIM}propSet")
                if (value := entry.find(f"{VIM}val")) is not None
            }
            yield content.findtext(f"{VIM}obj", ""), values
        token = page.findtext(f"{VIM}token")
        if not token:
            return
        more = f"<token>{escape(token)}</token>"
        answers = session.call("ContinueRetrievePropertiesEx", "propertyCollector", "PropertyCollector", more)
