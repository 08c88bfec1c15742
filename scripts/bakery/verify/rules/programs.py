"""Rules: programs run as the image's packages say."""

from collections.abc import Iterable, Iterator
from stat import S_ISGID, S_ISREG, S_ISUID, S_IWOTH, S_IXUSR

from bakery.verify.inspection import InspectedDisk
from bakery.verify.owned_files import list_owned
from bakery.verify.rule import Remark, Rule
from bakery.verify.rules import sources

# Debian's /etc/login.defs and /etc/profile, and the folders that they are links to.
PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
PROBLEM = S_ISUID | S_ISGID


def _find_setuid(disk: InspectedDisk) -> Iterator[str]:
    programs = [path for path, entry in disk.files.walk("") if _is_setuid(entry.mode)]
    if not programs:
        return
    owned = list_owned(disk)
    if owned is None:
        yield Remark("the owners of setuid programs were not read")
    else:
        yield from (path for path in programs if path not in owned)


def _is_setuid(mode: int) -> bool:
    return S_ISREG(mode) and bool(mode & PROBLEM) and bool(mode & S_IXUSR)


def _find_writable(disk: InspectedDisk) -> Iterator[str]:
    for folder in PATH:
        entry = disk.files.find(folder)
        if entry and entry.is_folder and entry.mode & S_IWOTH:
            yield folder
        yield from (path for path, entry in disk.files.walk(folder) if not entry.is_link and entry.mode & S_IWOTH)


def _find_service_policy(disk: InspectedDisk) -> Iterable[str]:
    return disk.files.match("/usr/sbin", "policy-rc.d")


RULES = (
    Rule(
        "services may start (no policy-rc.d)",
        "Packages that are installed later do not start their services.",
        sources.DEBIAN_POLICY,
        "Remove /usr/sbin/policy-rc.d in the step that wrote it.",
        _find_service_policy,
    ),
    Rule(
        "no setuid programs without a package",
        "Such a program runs with its owner's or group's rights, often root's, for every user, and no update "
        "replaces it.",
        sources.CIS,
        "Install it from a package, or remove its setuid and setgid bits.",
        _find_setuid,
    ),
    Rule(
        "no writable programs in PATH",
        "Every user can replace a program that root runs.",
        sources.CIS,
        "Set the mode of the file or folder to 0755.",
        _find_writable,
    ),
)
