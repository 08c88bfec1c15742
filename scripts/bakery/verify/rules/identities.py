"""Rules: nothing that makes two copies take themselves, or be taken, for one machine."""

import re
from collections.abc import Iterable, Iterator

from bakery.machine import esp
from bakery.verify.inspection import InspectedDisk
from bakery.verify.rule import Rule
from bakery.verify.rules import sources

EMPTY_IDS = ("", "uninitialized")  # machine-id(5)
SEEDS = (
    *("/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret", "/var/lib/urandom/random-seed"),
    *("/var/lib/random-seed", "/boot/loader/random-seed", "/boot/efi/loader/random-seed", "/efi/loader/random-seed"),
)
ESP_SEED = "/loader/random-seed"  # systemd-boot(7)
LEASES = (
    *(("/var/lib/dhcp", "*.lease*"), ("/var/lib/dhclient", "*.lease*"), ("/var/lib/dhcpcd", "*.lease*")),
    *(("/var/lib/NetworkManager", "*.lease*"), ("/var/lib/systemd/network", "*lease*")),
    *(("/var/lib/NetworkManager", "secret_key"), ("/var/lib/NetworkManager", "seen-bssids")),
    *(("/etc/NetworkManager/system-connections", "*"), ("/etc/sysconfig/network-scripts", "ifcfg-*")),
)
LOOPBACK = "/etc/sysconfig/network-scripts/ifcfg-lo"  # part of a package
CLOUD_NETWORKS = (  # that cloud-init wrote for the network card of the bake
    *(("/etc/systemd/network", "10-cloud-init-*"), ("/etc/netplan", "50-cloud-init.yaml")),
    *(("/etc/network/interfaces.d", "50-cloud-init*"), ("/etc/udev/rules.d", "*persistent-net.rules")),
)
HOST_IDS = (
    *(("/etc/nvme", "hostid"), ("/etc/nvme", "hostnqn"), ("/etc/lvm/devices", "*.devices")),
    *(("/etc/lvm/archive", "*"), ("/etc/lvm/backup", "*"), ("/etc/multipath", "bindings"), ("/etc/multipath", "wwids")),
    *(("/etc/pki/consumer", "*"), ("/etc/pki/entitlement", "*"), ("/etc/sysconfig/rhn", "systemid")),
    *(("/etc/insights-client", "machine-id"), ("/var/lib/rhsm/facts", "*")),
)
HOST_ID_LINES = {  # settings that name one machine or its disks: iscsid(8), lvm.conf(5), mdadm.conf(5)
    "/etc/iscsi/initiatorname.iscsi": re.compile(r"^\s*InitiatorName\s*=", re.MULTILINE),
    "/etc/lvm/lvmlocal.conf": re.compile(r"^\s*(system_id|host_id)\s*=", re.MULTILINE),
    "/etc/mdadm/mdadm.conf": re.compile(r"^\s*ARRAY\s", re.MULTILINE),
    "/etc/mdadm.conf": re.compile(r"^\s*ARRAY\s", re.MULTILINE),
}
AGENT_FOLDERS = ("/var/lib/cloud/seed", "/var/lib/waagent", "/var/lib/amazon/ssm")
AGENT_FILES = (("/etc", "google_instance_id"), ("/etc", "instance_id"))


def _find_machine_id(disk: InspectedDisk) -> Iterator[str]:
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        entry = disk.files.find(path)
        if entry and not entry.is_link and disk.files.read(path).strip() not in EMPTY_IDS:
            yield f"{path} is set"


def _find_instance(disk: InspectedDisk) -> Iterator[str]:
    yield from disk.files.match("/var/lib/cloud", "instance")
    yield from disk.files.match("/var/lib/cloud/instances")


def _find_cloud_networks(disk: InspectedDisk) -> Iterable[str]:
    return _match_all(disk, CLOUD_NETWORKS)


def _find_seeds(disk: InspectedDisk) -> Iterator[str]:
    yield from (path for path in SEEDS if disk.files.find(path))
    for partition in disk.partitions:
        if partition.type == esp.TYPE and esp.has_file(disk.raw, partition, ESP_SEED):
            yield f"{ESP_SEED} on the EFI system partition"


def _find_leases(disk: InspectedDisk) -> Iterator[str]:
    return (path for path in _match_all(disk, LEASES) if path != LOOPBACK)


def _find_host_ids(disk: InspectedDisk) -> Iterator[str]:
    yield from _match_all(disk, HOST_IDS)
    yield from (path for path, text in disk.files.read_all(HOST_ID_LINES).items() if HOST_ID_LINES[path].search(text))


def _find_agent_state(disk: InspectedDisk) -> Iterator[str]:
    yield from (path for folder in AGENT_FOLDERS for path, _ in disk.files.walk(folder))
    yield from _match_all(disk, AGENT_FILES)


def _match_all(disk: InspectedDisk, patterns: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (path for folder, name in patterns for path in disk.files.match(folder, name))


RULES = (
    Rule(
        "machine ID is empty",
        "Copies that share a machine ID get one DHCP address, and their logs cannot be told apart.",
        f"{sources.SYSTEMD}, {sources.MACHINE_ID}",
        "The seal empties it.",
        _find_machine_id,
    ),
    Rule(
        "no cloud-init instance",
        "cloud-init mistakes a copy for the machine of the bake, and user data may hold secrets.",
        sources.CLOUD_INIT,
        "The seal runs `cloud-init clean`.",
        _find_instance,
    ),
    Rule(
        "no cloud agent state",
        "An agent mistakes a copy for the machine that it registered as; a seed configures each copy like the build.",
        f"{sources.CERTIFICATION}, {sources.SHARED_IMAGES}",
        "The seal removes it, with Azure's agent by `waagent -deprovision+user`.",
        _find_agent_state,
    ),
    Rule(
        "no network settings of the bake",
        "A copy waits for a network card that it does not have.",
        f"{sources.SYSPREP}, {sources.CLOUD_INIT}",
        "The seal removes what cloud-init and udev wrote.",
        _find_cloud_networks,
    ),
    Rule(
        "no leases or network profiles",
        "Copies ask for one address, and NetworkManager's key makes their stable addresses predictable.",
        sources.SYSPREP,
        "The seal removes leases, the key and profiles of an installer. Exempt an image that needs its own profile.",
        _find_leases,
    ),
    Rule(
        "no host identities",
        "A storage server treats copies with one initiator name or NQN as one host, and Red Hat counts them as one "
        "subscription.",
        sources.SYSPREP,
        "The seal removes them, and sets the initiator name to be made at boot.",
        _find_host_ids,
    ),
    Rule(
        "no random seed",
        "Copies that start from one seed may draw the same keys, and credential.secret opens the secrets of all.",
        sources.SYSTEMD,
        "The seal removes seeds, also from the EFI system partition.",
        _find_seeds,
    ),
)
