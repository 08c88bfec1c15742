"""Rules: nobody whom the image's user did not choose can log in."""

import re
from collections.abc import Iterable, Iterator

from bakery.model.exemption import PASSWORDS
from bakery.verify.inspection import Account, InspectedDisk
from bakery.verify.rule import Rule
from bakery.verify.rules import sources
from bakery.verify.rules.sshd import effective_value, read_settings

BUILD_USERS = ("packer", "vagrant")  # logins that templates create by custom
LOCKED = ("!", "*")  # shadow(5): no password gives a hash that begins with them; a hash behind them can be cracked
# What lets somebody in with a password, and the default of OpenSSH.
SSH_SETTINGS = {
    "PasswordAuthentication": ("yes", "yes"),
    "KbdInteractiveAuthentication": ("yes", "yes"),  # with PAM it asks for the password as well
    "PermitEmptyPasswords": ("yes", "no"),
    "PermitRootLogin": ("yes", "prohibit-password"),
}
# cloud-init writes PasswordAuthentication before the first login, as ssh_pwauth says.
CLOUD_PASSWORDS = re.compile(r"^ssh_pwauth:\s*['\"]?(\w+)", re.MULTILINE)
KEY_FILES = ".ssh/authorized_keys .ssh/authorized_keys2"  # sshd's default
CLOUD_SUDO = "90-cloud-init-users"  # cloud-init writes it again for the default user of each machine
SUDO_FREE = re.compile(r"^(?!\s*#).*(\bNOPASSWD\s*:|!authenticate\b)", re.MULTILINE)
AUTOLOGIN = re.compile(r"^\s*(ExecStart=|\w*:\w*:\w*:).*getty.*\s(-a|--autologin)\b", re.MULTILINE)


def _find_passwords(disk: InspectedDisk) -> Iterator[str]:
    for path in ("/etc/shadow", "/etc/passwd"):
        for line in disk.files.read(path).splitlines():
            name, _, rest = line.partition(":")
            field = rest.partition(":")[0]
            if name and not field:
                yield f"{name} needs no password"
            elif "$" in field or not (field.startswith(LOCKED) or (path, field) == ("/etc/passwd", "x")):
                yield f"{name} has a password in {path}"


def _find_ssh_passwords(disk: InspectedDisk) -> Iterator[str]:
    settings = read_settings(disk.files)
    if not settings:  # no SSH server
        return
    for keyword, (bad, default) in SSH_SETTINGS.items():
        lines = [line for line in settings if line.keyword == keyword.lower()]
        if keyword == "PasswordAuthentication" and not lines and _cloud_init_refuses(disk):
            continue
        if effective_value(lines, keyword, default).lower() == bad:
            yield f"{keyword} {bad}"
        yield from (
            f"{keyword} {bad} in a Match block of {line.path}"
            for line in lines
            if line.conditional and line.argument.lower() == bad
        )


def _cloud_init_refuses(disk: InspectedDisk) -> bool:
    """Whether cloud-init tells sshd to refuse passwords at the first boot; the last file wins."""
    paths = ["/etc/cloud/cloud.cfg", *disk.files.match("/etc/cloud/cloud.cfg.d", "*.cfg")]
    texts = disk.files.read_all(paths)
    values = [value for path in paths for value in CLOUD_PASSWORDS.findall(texts.get(path, ""))]
    return bool(values) and values[-1].lower() in ("false", "no", "0")


def _find_sudo(disk: InspectedDisk) -> Iterator[str]:
    paths = [path for path in disk.files.match("/etc/sudoers.d") if not path.endswith((f"/{CLOUD_SUDO}", "~"))]
    for path, text in disk.files.read_all(["/etc/sudoers", *paths]).items():
        yield from (f"{path}: {match[0].strip()}" for match in SUDO_FREE.finditer(text))


def _find_authorized_keys(disk: InspectedDisk) -> Iterator[str]:
    paths = {path for home in disk.homes for path in disk.files.match(f"{home}/.ssh", "authorized_keys*")}
    paths |= {path for path, _ in disk.files.walk("/etc/ssh/authorized_keys")}
    paths |= {path for path in disk.files.match("/etc/ssh", "authorized_keys*") if not disk.files.list(path)}
    patterns = [line.argument for line in read_settings(disk.files) if line.keyword == "authorizedkeysfile"] or [
        KEY_FILES
    ]
    expanded = {
        _expand_path(pattern, account) for text in patterns for pattern in text.split() for account in disk.accounts
    }
    return iter(sorted(paths | {path for path in expanded if disk.files.find(path)}))


def _expand_path(pattern: str, account: Account) -> str:
    """The path of an account's keys: sshd_config(5), TOKENS."""
    path = pattern.replace("%h", account.home).replace("%u", account.name).replace("%U", str(account.uid))
    return path if path.startswith("/") else f"{account.home.rstrip('/')}/{path}"


def _find_automatic_logins(disk: InspectedDisk) -> Iterator[str]:
    units = (
        path
        for folder in ("/etc/systemd/system", "/usr/lib/systemd/system", "/usr/local/lib/systemd/system")
        for path, entry in disk.files.walk(folder)
        if "getty" in path.removeprefix(folder) and not entry.is_link
    )
    texts = disk.files.read_all([*units, "/etc/inittab"])
    return (path for path, text in texts.items() if AUTOLOGIN.search(text))


def _find_build_user(disk: InspectedDisk) -> Iterable[str]:
    users = [account.name for account in disk.accounts]
    yield from (f"user {name}" for name in users if name in BUILD_USERS)
    yield from (f"/home/{name}" for name in BUILD_USERS if name not in users and disk.files.find(f"/home/{name}"))
    yield from disk.files.match("/etc/sudoers.d", CLOUD_SUDO)


RULES = (
    Rule(
        PASSWORDS,
        "One password that is cracked or known opens all copies; the password of the build is one.",
        f"{sources.SHARED_IMAGES}, {sources.CIS}",
        "The seal locks all logins. An exemption keeps the passwords.",
        _find_passwords,
    ),
    Rule(
        "SSH refuses passwords",
        "Attackers guess passwords from the first minute on.",
        f"{sources.SHARED_IMAGES}, {sources.CERTIFICATION}, {sources.CIS}",
        "Set PasswordAuthentication, KbdInteractiveAuthentication and PermitEmptyPasswords to no and PermitRootLogin "
        "to prohibit-password, in a file of /etc/ssh/sshd_config.d that sorts first. For the first one, "
        "cloud-init's `ssh_pwauth: false` is enough.",
        _find_ssh_passwords,
    ),
    Rule(
        "no sudo without a password",
        "The login of an installer or a build stays an administrator. cloud-init gives its user these rights at boot.",
        sources.CIS,
        "Remove the file from /etc/sudoers.d at the end of your role, or name the rights of a service in an exemption.",
        _find_sudo,
    ),
    Rule(
        "no authorized keys",
        "The holder of the private key can log in to all copies.",
        f"{sources.SHARED_IMAGES}, {sources.SYSPREP}",
        "Give keys to machines at boot. The seal removes ~/.ssh; AuthorizedKeysFile may name other places.",
        _find_authorized_keys,
    ),
    Rule(
        "no automatic login",
        "A console opens a shell for everybody who can see it, such as the users of a cloud's serial console.",
        sources.CIS,
        "Remove --autologin from the units of getty.",
        _find_automatic_logins,
    ),
    Rule(
        "no build user",
        "The login of a build is the same in all images, and known.",
        f"{sources.SHARED_IMAGES}, {sources.CERTIFICATION}",
        "Remove the user in your template's last step.",
        _find_build_user,
    ),
)
