"""Rules for the content of an image: no traces of the build machine, and nothing that its copies must not share.

RULES are those of Linux.
"""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path

from bakery.machine.filesystem import FileSystem
from bakery.machine.root import NoRootError, open_root
from bakery.model.documents import Check

# Packages create empty logs. 64 KiB leaves room for those that a first boot needs (lastlog), not for a bake's.
LOG_BYTES = 64 << 10
EMPTY_IDS = ("", "uninitialized")  # machine-id(5)
BUILD_USERS = ("packer", "vagrant")  # logins that templates create by custom
HISTORIES = (
    ".bash_history",
    ".zsh_history",
    ".sh_history",
    ".python_history",
    ".viminfo",
    ".lesshst",
    ".mysql_history",
)
SHOWN = 10  # findings named in a verdict

Rule = Callable[[FileSystem], Iterable[str]]  # yields findings that must not be on the disk


def check(raw: Path, rules: Mapping[str, Rule]) -> list[Check]:
    """One check per rule, or one failed check if the disk cannot be read."""
    try:
        root = open_root(raw)
    except NoRootError as error:
        return [Check("root file system can be read", False, "; ".join(filter(None, (error.message, error.hint))))]
    return [_rule_check(name, list(rule(root))) for name, rule in rules.items()]


def _rule_check(name: str, findings: list[str]) -> Check:
    more = f" and {len(findings) - SHOWN} more" if len(findings) > SHOWN else ""
    return Check(name, not findings, ", ".join(findings[:SHOWN]) + more)


def _host_keys(root: FileSystem) -> Iterable[str]:
    return _matching_entries(root, "/etc/ssh", "ssh_host_*")


def _machine_id(root: FileSystem) -> Iterable[str]:
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        entry = root.find(path)
        if entry and not entry.is_link and root.read(path).strip() not in EMPTY_IDS:
            yield f"{path} is set"


def _authorized_keys(root: FileSystem) -> Iterable[str]:
    for home in _home_folders(root):
        yield from _matching_entries(root, f"{home}/.ssh", "authorized_keys*")


def _cloud_init(root: FileSystem) -> Iterable[str]:
    yield from _matching_entries(root, "/var/lib/cloud", "instance")
    yield from _matching_entries(root, "/var/lib/cloud/instances", "*")


def _network_settings(root: FileSystem) -> Iterable[str]:
    """Files that cloud-init wrote for the network card of the bake."""
    yield from _matching_entries(root, "/etc/systemd/network", "10-cloud-init-*")
    yield from _matching_entries(root, "/etc/netplan", "50-cloud-init.yaml")
    yield from _matching_entries(root, "/etc/network/interfaces.d", "50-cloud-init*")
    yield from _matching_entries(root, "/etc/udev/rules.d", "*persistent-net.rules")


def _log_files(root: FileSystem) -> Iterable[str]:
    logs = sorted(root.walk("/var/log"), key=lambda log: -log[1].size)
    if sum(entry.size for _, entry in logs) > LOG_BYTES:
        yield from (f"{path} ({entry.size} bytes)" for path, entry in logs if entry.size)


def _shell_histories(root: FileSystem) -> Iterable[str]:
    for home in _home_folders(root):
        yield from (f"{home}/{entry.name}" for entry in root.list(home) if entry.name in HISTORIES)


def _build_user(root: FileSystem) -> Iterable[str]:
    users = [line.partition(":")[0] for line in root.read("/etc/passwd").splitlines()]
    yield from (f"user {name}" for name in users if name in BUILD_USERS)
    yield from (f"/home/{name}" for name in BUILD_USERS if name not in users and root.find(f"/home/{name}"))
    yield from _matching_entries(root, "/etc/sudoers.d", "90-cloud-init-users")


def _service_policy(root: FileSystem) -> Iterable[str]:
    return _matching_entries(root, "/usr/sbin", "policy-rc.d")


def _apt_cache(root: FileSystem) -> Iterable[str]:
    yield from _matching_entries(root, "/var/cache/apt/archives", "*.deb")
    yield from _matching_entries(root, "/var/cache/apt", "*.bin")


RULES: dict[str, Rule] = {
    "no SSH host keys": _host_keys,
    "machine ID is empty": _machine_id,
    "no authorized keys": _authorized_keys,
    "no cloud-init instance": _cloud_init,
    "no network settings of the bake": _network_settings,
    "logs are empty": _log_files,
    "no shell history": _shell_histories,
    "no build user": _build_user,
    "services may start (no policy-rc.d)": _service_policy,
    "no package cache": _apt_cache,
}


def _home_folders(root: FileSystem) -> list[str]:
    """Home folders of all users, including those of deleted users."""
    homes = {fields[5] for line in root.read("/etc/passwd").splitlines() if len(fields := line.split(":")) > 5}
    folders = {f"/home/{entry.name}" for entry in root.list("/home") if entry.is_folder}
    return sorted((homes | folders | {"/root"}) - {"", "/"})


def _matching_entries(root: FileSystem, folder: str, pattern: str) -> Iterable[str]:
    return [f"{folder}/{entry.name}" for entry in root.list(folder) if fnmatch(entry.name, pattern)]
