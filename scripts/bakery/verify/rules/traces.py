"""Rules: nothing of the machine that was baked, and nothing that only an installation needs."""

import re
from collections.abc import Iterable, Iterator

from bakery.verify.inspection import InspectedDisk
from bakery.verify.rule import Rule
from bakery.verify.rules import sources

# Packages create empty logs. 64 KiB leaves room for those that a first boot needs (lastlog), not for a bake's.
LOG_BYTES = 64 << 10
HISTORIES = (
    ".bash_history",
    ".zsh_history",
    ".sh_history",
    ".python_history",
    ".viminfo",
    ".lesshst",
    ".mysql_history",
    ".psql_history",
    ".sqlite_history",
    ".rediscli_history",
    ".node_repl_history",
    ".wget-hsts",
)
SPOOLS = ("/var/spool/cron", "/var/spool/at", "/var/spool/mail", "/var/mail")
SPOOL_FILES = (".SEQ", ".placeholder")  # at's counter, and a file of cron's package
ACCOUNT_BACKUPS = ("passwd-", "shadow-", "group-", "gshadow-", "subuid-", "subgid-")
PASSWORD_FILES = ("/etc/security/opasswd", "/var/cache/debconf/passwords.dat")  # empty as packages make them
INSTALLER = (
    *(
        ("/root", "anaconda-ks.cfg"),
        ("/root", "original-ks.cfg"),
        ("/root", "ks*.cfg"),
        ("/root", "initial-setup-ks.cfg"),
    ),
    *(("/var/log", "installer"), ("/var/log", "anaconda"), ("/var/lib", "subiquity"), ("/", "autoinst.xml")),
    *(("/etc/cloud/cloud.cfg.d", "99-installer.cfg"), ("/etc/cloud/cloud.cfg.d", "subiquity-*.cfg")),
    *(("/etc/cloud/cloud.cfg.d", "curtin-*.cfg"), ("/etc/netplan", "*-installer-config.yaml")),
    *(("/", "preseed.cfg"), ("/etc", "preseed.cfg")),
)
TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - on the disk
DUMPS = ("/var/lib/systemd/coredump", "/var/crash", "/var/spool/abrt", "/var/lib/apport/coredump")
ROOT_DUMP = re.compile(r"/core(\.\d+)?")  # core(5)
SWAP_FILES = ("/swapfile", "/swap.img", "/var/swap", "/swap/swapfile")
FSTAB_SWAP = re.compile(r"^\s*(/\S+)\s+\S+\s+swap\s", re.MULTILINE)


def _find_logs(disk: InspectedDisk) -> Iterator[str]:
    logs = sorted(disk.files.walk("/var/log"), key=lambda log: -log[1].size)
    if sum(entry.size for _, entry in logs) > LOG_BYTES:
        yield from (f"{path} ({entry.size} bytes)" for path, entry in logs if entry.size)


def _find_histories(disk: InspectedDisk) -> Iterable[str]:
    return (path for home in disk.homes for name in HISTORIES for path in disk.files.match(home, name))


def _find_package_caches(disk: InspectedDisk) -> Iterator[str]:
    """Caches of apt and dnf. apt's lists may stay: a base made from packages has them, which saves bakes time."""
    yield from disk.files.match("/var/cache/apt/archives", "*.deb")
    yield from disk.files.match("/var/cache/apt", "*.bin")
    yield from (path for path, _ in disk.files.walk("/var/cache/dnf"))


def _find_jobs(disk: InspectedDisk) -> Iterator[str]:
    for folder in SPOOLS:
        for path, entry in disk.files.walk(folder):
            if entry.size and not entry.is_link and entry.name not in SPOOL_FILES:
                yield path


def _find_backups(disk: InspectedDisk) -> Iterator[str]:
    yield from (path for name in ACCOUNT_BACKUPS for path in disk.files.match("/etc", name))
    yield from (path for path, _ in disk.files.walk("/var/backups"))
    yield from (path for path in PASSWORD_FILES if (entry := disk.files.find(path)) and entry.size)


def _find_installer_files(disk: InspectedDisk) -> Iterable[str]:
    return (path for folder, name in INSTALLER for path in disk.files.match(folder.rstrip("/"), name))


def _find_temporary_files(disk: InspectedDisk) -> Iterator[str]:
    yield from (path for folder in TEMPORARY for path in disk.files.match(folder))
    yield from (path for folder in DUMPS for path, _ in disk.files.walk(folder))
    yield from (path for path in disk.files.match("", "core*") if ROOT_DUMP.fullmatch(path))


def _find_swap(disk: InspectedDisk) -> Iterator[str]:
    listed = FSTAB_SWAP.findall(disk.files.read("/etc/fstab"))
    return (path for path in dict.fromkeys([*SWAP_FILES, *listed]) if disk.files.find(path))


RULES = (
    Rule(
        "logs are empty",
        "Logs name addresses, users and at times secrets of the bake.",
        f"{sources.SHARED_IMAGES}, {sources.SYSPREP}",
        "The seal empties them.",
        _find_logs,
    ),
    Rule(
        "no shell history",
        "Commands may have had secrets in them.",
        f"{sources.SHARED_IMAGES}, {sources.CERTIFICATION}",
        "The seal removes it.",
        _find_histories,
    ),
    Rule(
        "no package cache",
        "Downloads and indexes make each copy larger, and are old when it starts.",
        f"{sources.SYSPREP}, {sources.IMAGE_BUILDER}",
        "The seal removes it.",
        _find_package_caches,
    ),
    Rule(
        "no user crontabs, at jobs or mail",
        "Each copy would run a job that its user did not write, and mail belongs to one machine.",
        sources.SYSPREP,
        "Put jobs that belong to the image into a timer or /etc/cron.d. The seal removes at jobs and mail.",
        _find_jobs,
    ),
    Rule(
        "no backups of accounts",
        "They keep hashes of passwords that the image no longer has, and debconf keeps answers with passwords.",
        sources.SYSPREP,
        "The seal removes them.",
        _find_backups,
    ),
    Rule(
        "no installer files",
        "An installer's answers hold password hashes, and its settings stop cloud-init from configuring a copy.",
        sources.IMAGE_BUILDER,
        "The seal removes them.",
        _find_installer_files,
    ),
    Rule(
        "no temporary files or dumps",
        "A dump is the memory of a program, with its secrets.",
        sources.SYSPREP,
        "The seal removes them.",
        _find_temporary_files,
    ),
    Rule(
        "no swap file",
        "A swap file holds memory of the machine that was baked. Swap partitions are cleared.",
        f"{sources.SHARED_IMAGES}, {sources.IMAGE_BUILDER}",
        "The seal removes it and its line in /etc/fstab. Let cloud-init make one at boot (`swap`).",
        _find_swap,
    ),
)
