"""Rules for the settings of Windows, which are in its registry."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from bakery.host import files
from bakery.host.errors import BakeryError
from bakery.machine.registry import Hive
from bakery.verify.inspection import InspectedDisk
from bakery.verify.rule import Rule
from bakery.verify.rules import sources

FOLDER = ("windows", "system32", "config")
CURRENT = "Select"  # its value Current is the number of the control set in use
SERVICE = r"Services\WinRM"
DISABLED = 4  # SERVICE_DISABLED of winnt.h
FIREWALL = r"Services\SharedAccess\Parameters\FirewallPolicy\FirewallRules"
# [MS-GPFAS], 2.2.2: a rule is one text, v2.31|Action=Allow|Active=TRUE|Dir=In|LPort=5986|...
OPEN = ("Action=Allow", "Active=TRUE", "Dir=In")
PORT = "LPort=5986"  # of WinRM over TLS
LISTENERS = r"Microsoft\Windows\CurrentVersion\WSMAN\Listener"
CERTIFICATES = r"Microsoft\SystemCertificates\MY\Certificates"
LOGON = r"Microsoft\Windows NT\CurrentVersion\Winlogon"


def _find_winrm(disk: InspectedDisk) -> Iterator[str]:
    with files.scratch(disk.raw.parent, "hive") as scratch:
        software, system = (_open_hive(disk, scratch, name) for name in ("software", "system"))
        yield from (f"listener {name}" for name in software.list_keys(LISTENERS) if name.upper().endswith("+HTTPS"))
        controls = f"ControlSet{int(str(system.read_values(CURRENT).get('current', 1))):03}"
        if (start := system.read_values(rf"{controls}\{SERVICE}").get("start", DISABLED)) != DISABLED:
            yield f"the service starts (Start is {start})"
        rules = system.read_values(rf"{controls}\{FIREWALL}")
        opening = (str(rule).split("|") for rule in rules.values())
        yield from (f"firewall rule {_rule_name(parts)}" for parts in opening if {*OPEN, PORT} <= set(parts))


def _find_certificates(disk: InspectedDisk) -> Iterable[str]:
    with files.scratch(disk.raw.parent, "hive") as scratch:
        return _open_hive(disk, scratch, "software").list_keys(CERTIFICATES)


def _find_automatic_login(disk: InspectedDisk) -> Iterator[str]:
    with files.scratch(disk.raw.parent, "hive") as scratch:
        values = _open_hive(disk, scratch, "software").read_values(LOGON)
        if str(values.get("autoadminlogon", "0")) != "0":
            yield f"AutoAdminLogon of {values.get('defaultusername', 'a user')}"
        if values.get("defaultpassword"):
            yield "DefaultPassword"


def _open_hive(disk: InspectedDisk, scratch: Path, name: str) -> Hive:
    """A copy of a hive. BakeryError without one: such a disk has no Windows."""
    folder = ""
    for part in (*FOLDER, name):
        match = next((entry.name for entry in disk.files.list(folder) if entry.name.lower() == part), None)
        if match is None:
            raise BakeryError(f"the disk has no registry: no {part} in {folder or '/'}")
        folder = f"{folder}/{match}"
    disk.root.copy([folder], scratch)
    return Hive(scratch / folder.lstrip("/"))


def _rule_name(parts: list[str]) -> str:
    return next((part.removeprefix("Name=") for part in parts if part.startswith("Name=")), "without a name")


RULES = (
    Rule(
        "WinRM is closed",
        "Each copy listens for everybody, as the build did, with a certificate whose key is in all copies.",
        f"{sources.WINRM}, {sources.CERTIFICATION}",
        "Run close-winrm.ps1 as the last command over WinRM, as the templates do.",
        _find_winrm,
    ),
    Rule(
        "no machine certificates",
        "The private key is in all copies.",
        sources.SYSPREP_WINDOWS,
        "Remove certificates with their keys from Cert:\\LocalMachine\\My in the last step.",
        _find_certificates,
    ),
    Rule(
        "no automatic login",
        "The console of each copy is open, and the registry has the password.",
        sources.ANSWER_FILES,
        "Remove AutoAdminLogon and DefaultPassword from Winlogon before Sysprep.",
        _find_automatic_login,
    ),
)
