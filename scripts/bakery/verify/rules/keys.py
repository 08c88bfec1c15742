"""Rules: no key or token that a copy of the disk would share or give away."""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatch

from bakery.verify.inspection import InspectedDisk
from bakery.verify.rule import Rule
from bakery.verify.rules import sources

PRIVATE_KEY = "PRIVATE KEY-----"  # RFC 7468 and OpenSSH's own form end their first line with it
KEY_NAMES = ("*.key", "*.pem", "*_key", "id_*", "*.ppk")
KEY_FOLDERS = ("/etc", "/var/lib/ssl", "/var/ssl", "/usr/local/etc")
HOST_KEYS = "/etc/ssh"  # a rule of its own
# Files of a home folder in which programs keep what lets them in, as the programs' own manuals name them.
TOKENS = (
    *(".aws/credentials", ".aws/cli/cache/*", ".aws/sso/cache/*", ".aws/login/cache/*"),
    *(".azure/*", ".config/gcloud/*", ".boto", ".s3cfg", ".oci/*", ".config/doctl/config.yaml", ".config/rclone/*"),
    *(".docker/config.json", ".config/containers/auth.json", ".kube/config", ".config/helm/registry/config.json"),
    *(".netrc", ".git-credentials", ".config/git/credentials", ".config/gh/hosts.yml", ".config/glab-cli/*"),
    *(".vault-token", ".terraform.d/credentials.tfrc.json", ".terraformrc", ".ansible/galaxy_token", ".vault_pass*"),
    *(".npmrc", ".yarnrc.yml", ".pypirc", ".gem/credentials", ".cargo/credentials*", ".m2/settings*.xml"),
    *(".pgpass", ".my.cnf", ".mylogin.cnf", ".config/pip/pip.conf", ".gnupg/private-keys-v1.d/*"),
)
# Of the machine: the logins of apt, dnf and containers.
MACHINE_TOKENS = (
    *("/etc/apt/auth.conf", "/etc/apt/auth.conf.d/*", "/etc/containers/auth.json", "/run/containers/0/auth.json"),
    *("/etc/docker/config.json", "/var/lib/kubelet/config.json", "/etc/rhsm/ca/redhat-uep.key"),
)


def _find_host_keys(disk: InspectedDisk) -> Iterable[str]:
    return disk.files.match(HOST_KEYS, "ssh_host_*")


def _find_ssh_files(disk: InspectedDisk) -> Iterator[str]:
    """Known hosts and private keys of SSH folders; other private keys anywhere in a home folder."""
    for home in disk.homes:
        yield from disk.files.match(f"{home}/.ssh", "known_hosts*")
        yield from disk.files.match(f"{home}/.ssh", "id_*")
    yield from disk.files.match("/etc/ssh", "ssh_known_hosts*")
    named = [path for home in disk.homes for path, _ in disk.files.walk(f"{home}/.ssh")]
    named += [path for home in disk.login_homes for path, _ in disk.files.walk(home) if _is_key_name(path)]
    yield from (path for path in _hold_private_keys(disk, named) if not path.rpartition("/")[2].startswith("id_"))


def _find_service_keys(disk: InspectedDisk) -> Iterator[str]:
    paths = (path for folder in KEY_FOLDERS for path, _ in disk.files.walk(folder) if _is_key_name(path))
    yield from _hold_private_keys(disk, (path for path in paths if not path.startswith(f"{HOST_KEYS}/ssh_host_")))


def _find_tokens(disk: InspectedDisk) -> Iterator[str]:
    patterns = [f"{home}/{name}" for home in disk.homes for name in TOKENS]
    for pattern in [*patterns, *MACHINE_TOKENS]:
        folder, _, name = pattern.rpartition("/")
        sizes = {f"{folder}/{entry.name}": entry.size or entry.is_folder for entry in disk.files.list(folder)}
        yield from (path for path in disk.files.match(folder, name) if sizes[path])


def _is_key_name(path: str) -> bool:
    return any(fnmatch(path.rpartition("/")[2], pattern) for pattern in KEY_NAMES)


def _hold_private_keys(disk: InspectedDisk, paths: Iterable[str]) -> list[str]:
    texts = disk.files.read_all(dict.fromkeys(paths))
    return sorted(path for path, text in texts.items() if PRIVATE_KEY in text)


RULES = (
    Rule(
        "no SSH host keys",
        "Copies with one host key can impersonate each other.",
        f"{sources.SHARED_IMAGES}, {sources.SYSPREP}",
        "The seal removes them. Each machine makes its own at its first boot.",
        _find_host_keys,
    ),
    Rule(
        "no SSH keys or known hosts in homes",
        "A private key opens other machines, and known hosts say which.",
        f"{sources.SHARED_IMAGES}, {sources.SYSPREP}",
        "Remove them at the end of your role. The seal removes ~/.ssh.",
        _find_ssh_files,
    ),
    Rule(
        "no private keys of services",
        "A key that a package made at its installation, such as ssl-cert-snakeoil.key, is the same in all copies.",
        f"{sources.SYSPREP}, {sources.CERTIFICATION}",
        "Make keys at the first boot. The seal removes the snakeoil key, and a unit makes it again.",
        _find_service_keys,
    ),
    Rule(
        "no tokens",
        "Each user who starts a copy gets the rights of the token's owner.",
        sources.SHARED_IMAGES,
        "Remove the file at the end of your role, and give tokens to machines at boot.",
        _find_tokens,
    ),
)
