"""Each rule, on a disk that breaks it in each way that it knows."""

import re

import pytest

from bakery.machine import esp, free_space
from bakery.machine.disk_image import Partition
from bakery.verify import hygiene
from bakery.verify.rule import Remark
from bakery.verify.rules.traces import LOG_BYTES
from doubles.trees import Program, Tree, make_disk

PASSWD = "root:x:0:0:root:/root:/bin/bash\napp:x:998:1500::/srv/app:/bin/sh\nann:x:1000:1000::/people/ann:/bin/sh\n"
SSHD = "Include /etc/ssh/sshd_config.d/*.conf\nKbdInteractiveAuthentication no\nUsePAM yes\n"
CLEAN: Tree = {
    "/etc/machine-id": "",
    "/etc/passwd": PASSWD,
    "/etc/shadow": "root:*:1::::::\napp:!:1::::::\nann:!*:1::::::\n",
    "/etc/fstab": "LABEL=root / ext4 defaults 0 1\n",
    "/etc/ssh/sshd_config": SSHD,
    "/etc/ssh/sshd_config.d/10-first.conf": "PasswordAuthentication no\n",
    "/etc/ssh/sshd_config.d/20-second.conf": "PasswordAuthentication yes\n",  # sshd takes the first
    "/etc/ssh/ssh_config": "Host *\n",
    "/etc/sudoers": "root ALL=(ALL:ALL) ALL\n# %sudo ALL=(ALL) NOPASSWD: ALL\n",
    "/etc/sudoers.d/README": "# NOPASSWD: is a tag\n",
    "/etc/ssl/certs/ca.pem": "-----BEGIN CERTIFICATE-----\n",
    "/etc/ssl/private": None,
    "/etc/security/opasswd": "",
    "/etc/security/group.conf": "# members",
    "/etc/iscsi/initiatorname.iscsi": "GenerateName=yes\n",
    "/etc/mdadm/mdadm.conf": "HOMEHOST <system>\n# ARRAY lines come here\n",
    "/etc/systemd/system/getty@tty1.service": "-> /dev/null",
    "/usr/lib/systemd/system/getty@.service": "[Service]\nExecStart=-/sbin/agetty -o '-p -- \\\\u' --noclear - $TERM\n",
    "/usr/bin/su": Program(0o4755),
    "/usr/bin/ssh-agent": Program(0o2755),
    "/usr/sbin/sshd": Program(0o755),
    "/usr/local/bin": None,
    "/srv/files/shared": Program(0o666),
    "/root/.bashrc": "",
    "/root/.netrc": "",
    "/home": None,
    "/people/ann/notes.key": "no such thing",
    "/tmp": None,
    "/var/tmp": None,
    "/var/log/wtmp": "",
    "/var/mail/root": "",
    "/var/spool/cron/crontabs": None,
    "/var/spool/cron/atjobs/.SEQ": "00001",
    "/var/cache/apt/archives/lock": "",
    "/var/cache/debconf/passwords.dat": "",
    "/var/cache/dnf": None,
    "/var/lib/apt/lists/deb.debian.org_debian_dists_trixie_main_binary-amd64_Packages": "Package: jq\n",
    "/var/lib/dpkg/info/login.list": "/bin\n/bin/su\n",
    "/var/lib/dpkg/info/openssh-client.list": "/usr/bin/ssh-agent.real\n",
    "/var/lib/dpkg/diversions": "/usr/bin/ssh-agent\n/usr/bin/ssh-agent.real\nwrapper\n",
    "/var/lib/cloud/seed": None,
    "/var/lib/waagent": None,
}
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n"
MATCH = "Match User backup\n  PasswordAuthentication yes\n"
X = "x"
# By rule: paths that break it, with their content.
DIRT: dict[str, list[tuple[str, str | Program | None]]] = {
    "no passwords": [
        ("/etc/shadow", "root:$y$j9T$abc:1::::::\n"),
        ("/etc/shadow", "root:*:1::::::\nubuntu::1::::::\n"),
        ("/etc/shadow", "root:!$6$abc$def:1::::::\n"),
        ("/etc/passwd", f"{PASSWD}old::0:0::/root:/bin/sh\n"),
        ("/etc/passwd", f"{PASSWD}old:abJnggxhB/yWI:1:1::/srv:/bin/sh\n"),
    ],
    "SSH refuses passwords": [
        ("/etc/ssh/sshd_config.d/00-zero.conf", "PasswordAuthentication yes\n"),
        ("/etc/ssh/sshd_config.d/10-first.conf", "# nothing\n"),
        ("/etc/ssh/sshd_config.d/00-zero.conf", "PermitRootLogin yes\n"),
        ("/etc/ssh/sshd_config.d/00-zero.conf", "permitemptypasswords=yes\n"),
        ("/etc/ssh/sshd_config.d/00-zero.conf", "ChallengeResponseAuthentication yes\n"),
        ("/etc/ssh/sshd_config", SSHD.replace("Kbd", "#Kbd")),
        ("/etc/ssh/sshd_config", SSHD + MATCH),
    ],
    "no sudo without a password": [
        ("/etc/sudoers.d/installer", "ubuntu ALL=(ALL) NOPASSWD:ALL\n"),
        ("/etc/sudoers", "%wheel ALL=(ALL) NOPASSWD: ALL\n"),
        ("/etc/sudoers.d/other", "Defaults:app !authenticate\n"),
    ],
    "no authorized keys": [
        ("/root/.ssh/authorized_keys", X),
        ("/srv/app/.ssh/authorized_keys2", X),
        ("/home/gone/.ssh/authorized_keys", X),
        ("/etc/ssh/authorized_keys/root", X),
        ("/etc/ssh/authorized_keys", X),
    ],
    "no automatic login": [
        (
            "/etc/systemd/system/serial-getty@ttyS0.service.d/login.conf",
            "ExecStart=-/sbin/agetty --autologin root %I\n",
        ),
        ("/etc/systemd/system/getty@.service", "ExecStart=-/sbin/agetty -a root --noclear %I\n"),
        ("/etc/inittab", "S0:23:respawn:/sbin/getty -L ttyS0 --autologin root\n"),
    ],
    "no build user": [
        ("/etc/passwd", f"{PASSWD}packer:x:1001:1001::/home/packer:/bin/bash\n"),
        ("/home/packer/.profile", X),
        ("/etc/sudoers.d/90-cloud-init-users", X),
    ],
    "no SSH host keys": [("/etc/ssh/ssh_host_rsa_key", X), ("/etc/ssh/ssh_host_ed25519_key.pub", X)],
    "no SSH keys or known hosts in homes": [
        ("/root/.ssh/id_ed25519", KEY),
        ("/srv/app/.ssh/deploy", KEY),
        ("/people/ann/private/server.pem", KEY),
        ("/root/.ssh/known_hosts", X),
        ("/etc/ssh/ssh_known_hosts", X),
    ],
    "no private keys of services": [
        ("/etc/ssl/private/ssl-cert-snakeoil.key", "-----BEGIN PRIVATE KEY-----\n"),
        ("/etc/nginx/tls/site.pem", f"-----BEGIN CERTIFICATE-----\n{KEY}"),
        ("/etc/pki/tls/private/localhost.key", "-----BEGIN RSA PRIVATE KEY-----\n"),
    ],
    "no tokens": [
        *((f"/root/{name}", X) for name in (".aws/credentials", ".azure/token", ".docker/config.json", ".netrc")),
        *((f"/home/gone/{name}", X) for name in (".git-credentials", ".vault-token", ".config/gh/hosts.yml", ".npmrc")),
        *((f"/people/ann/{name}", X) for name in (".pypirc", ".config/gcloud/credentials.db", ".kube/config")),
        ("/etc/apt/auth.conf.d/private.conf", X),
    ],
    "machine ID is empty": [
        ("/etc/machine-id", "48a615ae1bd940c0ba9a0740a325d94d\n"),
        ("/var/lib/dbus/machine-id", "48a615ae1bd940c0ba9a0740a325d94d\n"),
    ],
    "no cloud-init instance": [("/var/lib/cloud/instance", "-> x"), ("/var/lib/cloud/instances/i-1/user-data.txt", X)],
    "no cloud agent state": [
        ("/var/lib/cloud/seed/nocloud/user-data", X),
        ("/var/lib/waagent/ovf-env.xml", X),
        ("/var/lib/amazon/ssm/Vault/Store/RegistrationKey", X),
        ("/etc/google_instance_id", X),
    ],
    "no network settings of the bake": [
        ("/etc/systemd/network/10-cloud-init-ens4.network", X),
        ("/etc/netplan/50-cloud-init.yaml", X),
        ("/etc/network/interfaces.d/50-cloud-init", X),
        ("/etc/udev/rules.d/70-persistent-net.rules", X),
    ],
    "no leases or network profiles": [
        ("/var/lib/dhcp/dhclient.ens4.leases", X),
        ("/var/lib/dhclient/dhclient--eth0.lease", X),
        ("/var/lib/NetworkManager/internal-1-eth0.lease", X),
        ("/var/lib/NetworkManager/secret_key", X),
        ("/etc/NetworkManager/system-connections/ens192.nmconnection", X),
        ("/etc/sysconfig/network-scripts/ifcfg-eth0", X),
    ],
    "no host identities": [
        ("/etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn.1993-08.org.debian:01:1\n"),
        ("/etc/nvme/hostid", X),
        ("/etc/nvme/hostnqn", X),
        ("/etc/lvm/devices/system.devices", X),
        ("/etc/lvm/backup/system", X),
        ("/etc/lvm/lvmlocal.conf", 'local {\n  system_id = "host1"\n}\n'),
        ("/etc/mdadm/mdadm.conf", "ARRAY /dev/md0 UUID=1:2:3:4\n"),
        ("/etc/pki/consumer/key.pem", X),
        ("/etc/sysconfig/rhn/systemid", X),
    ],
    "no random seed": [
        ("/var/lib/systemd/random-seed", X),
        ("/var/lib/systemd/credential.secret", X),
        ("/boot/efi/loader/random-seed", X),
    ],
    "logs are empty": [("/var/log/journal/48a6/system.journal", X * (LOG_BYTES + 1))],
    "no shell history": [("/root/.bash_history", X), ("/srv/app/.python_history", X)],
    "no package cache": [
        ("/var/cache/apt/archives/jq_1.6_amd64.deb", X),
        ("/var/cache/apt/pkgcache.bin", X),
        ("/var/cache/dnf/baseos.solv", X),
        ("/var/cache/dnf/baseos-2d95c80a1fa0a67d/packages/jq-1.6-17.el9.x86_64.rpm", X),
    ],
    "no user crontabs, at jobs or mail": [
        ("/var/spool/cron/crontabs/root", X),
        ("/var/spool/cron/root", X),
        ("/var/spool/cron/atjobs/a00001", X),
        ("/var/mail/root", "From root"),
    ],
    "no backups of accounts": [
        ("/etc/shadow-", X),
        ("/etc/passwd-", X),
        ("/etc/security/opasswd", X),
        ("/var/backups/shadow.bak", X),
        ("/var/cache/debconf/passwords.dat", X),
    ],
    "no installer files": [
        ("/root/anaconda-ks.cfg", X),
        ("/var/log/installer/autoinstall-user-data", ""),
        ("/etc/cloud/cloud.cfg.d/99-installer.cfg", X),
        ("/etc/netplan/00-installer-config.yaml", X),
    ],
    "no temporary files or dumps": [
        ("/tmp/secret", X),
        ("/var/tmp/.hidden/x", X),
        ("/var/lib/systemd/coredump/core.vault.zst", X),
        ("/var/crash/_usr_bin_x.crash", X),
        ("/core", X),
    ],
    "no swap file": [("/swap.img", X), ("/swapfile", X)],
    "services may start (no policy-rc.d)": [("/usr/sbin/policy-rc.d", X)],
    "no setuid programs without a package": [
        ("/usr/local/bin/shell", Program(0o4755)),
        ("/opt/tool/helper", Program(0o2711)),
        ("/var/tmp2/.x", Program(0o4711)),
    ],
    "no writable programs in PATH": [("/usr/local/bin/tool", Program(0o777)), ("/usr/bin/x", Program(0o602))],
}
# Rules that read the disk itself have tests of their own below.
ON_DISK = {"free blocks are empty"}
CASES = [(rule, path, content) for rule, cases in DIRT.items() for path, content in cases]


def find_dirt(tree: Tree) -> dict[str, list[str]]:
    """The findings of all rules that read files, by rule; remarks are left out."""
    disk = make_disk(tree)
    found = {
        name: [line for line in rule.find(disk) if not isinstance(line, Remark)] for name, rule in hygiene.RULES.items()
    }
    return {name: findings for name, findings in found.items() if findings}


def test_a_clean_disk_passes() -> None:
    assert find_dirt(CLEAN) == {}


@pytest.mark.parametrize(("rule", "path", "content"), CASES, ids=[f"{rule}: {path}" for rule, path, _ in CASES])
def test_dirt_breaks_its_rule_and_no_other(rule: str, path: str, content: str | Program | None) -> None:
    assert list(find_dirt({**CLEAN, path: content})) == [rule]


def test_every_rule_has_dirt() -> None:
    assert set(hygiene.RULES) == DIRT.keys() | ON_DISK


@pytest.mark.parametrize("rule", hygiene.RULES.values(), ids=lambda rule: rule.name)
def test_every_rule_says_why_who_asks_and_how_to_pass(rule: object) -> None:
    reason, source, remedy = (getattr(rule, name) for name in ("reason", "source", "remedy"))
    assert reason.endswith(".")
    assert remedy.endswith((".", ")"))
    assert re.fullmatch(r"\[[^]]+\]\(https://\S+\)(, \[[^]]+\]\(https://\S+\))*", source)


def test_a_file_of_keys_elsewhere_is_found_by_the_servers_settings() -> None:
    tree = {**CLEAN, "/etc/ssh/sshd_config": f"AuthorizedKeysFile /etc/keys/%u %h/keys\n{SSHD}"}
    assert find_dirt(tree) == {}
    found = find_dirt({**tree, "/etc/keys/root": X, "/srv/app/keys": X})
    assert found == {"no authorized keys": ["/etc/keys/root", "/srv/app/keys"]}


@pytest.mark.parametrize(
    ("texts", "passes"),
    [
        (("ssh_pwauth: false\n",), True),
        (("ssh_pwauth: false\n", "ssh_pwauth: true\n"), False),
        (("other: 1\n",), False),
    ],
)
def test_cloud_init_may_refuse_passwords_at_boot(texts: tuple[str, ...], passes: bool) -> None:
    names = ("/etc/cloud/cloud.cfg", "/etc/cloud/cloud.cfg.d/50-x.cfg")
    tree = {
        **CLEAN,
        "/etc/ssh/sshd_config": "KbdInteractiveAuthentication no\n",
        **dict(zip(names, texts, strict=False)),
    }
    assert find_dirt(tree) == ({} if passes else {"SSH refuses passwords": ["PasswordAuthentication yes"]})


def test_a_disk_without_an_ssh_server_needs_no_settings() -> None:
    tree = {path: content for path, content in CLEAN.items() if not path.startswith("/etc/ssh/sshd_config")}
    assert find_dirt(tree) == {}


def test_a_swap_file_has_any_name_in_fstab() -> None:
    tree = {**CLEAN, "/etc/fstab": "/data/more.swap none swap sw 0 0\n", "/data/more.swap": X}
    assert find_dirt(tree) == {"no swap file": ["/data/more.swap"]}


def test_a_folder_in_path_that_all_can_write_to(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = make_disk({**CLEAN, "/usr/local/bin": None})
    entry = disk.files.find("/usr/local/bin")
    assert entry
    monkeypatch.setitem(vars(entry), "mode", 0o40777)
    assert list(hygiene.RULES["no writable programs in PATH"].find(disk)) == ["/usr/local/bin"]


def test_without_a_package_database_the_owners_are_not_known() -> None:
    tree = {path: content for path, content in CLEAN.items() if "/dpkg/" not in path}
    (line,) = hygiene.RULES["no setuid programs without a package"].find(make_disk(tree))
    assert isinstance(line, Remark)


def test_a_link_to_the_machine_id_is_no_second_one() -> None:
    assert find_dirt({**CLEAN, "/var/lib/dbus/machine-id": "-> /etc/machine-id"}) == {}


def test_small_logs_pass() -> None:
    assert find_dirt({**CLEAN, "/var/log/dpkg.log": X * LOG_BYTES}) == {}


def test_a_seed_on_the_efi_system_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = make_disk(CLEAN)
    partitions = [Partition("ESP", esp.TYPE, 0, 1 << 20, 1), Partition("root", "X", 1 << 20, 1 << 20, 2)]
    monkeypatch.setitem(vars(disk), "partitions", partitions)
    monkeypatch.setattr(esp, "has_file", lambda raw, partition, path: partition.number == 1 and "seed" in path)
    assert list(hygiene.RULES["no random seed"].find(disk)) == ["/loader/random-seed on the EFI system partition"]


def test_free_blocks_with_content_and_partitions_that_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = make_disk(CLEAN)
    partitions = [Partition("x", "X", number << 20, 1 << 20, number) for number in (1, 2, 3, 4)]
    remains = {1: [free_space.Extent(4096, 12288), free_space.Extent(20480, 24576)]}
    monkeypatch.setitem(vars(disk), "partitions", partitions)
    monkeypatch.setattr(free_space, "find_remains", lambda raw, partition: remains.get(partition.number, []))
    monkeypatch.setattr(free_space, "is_known", lambda raw, partition: partition.number < 3)
    monkeypatch.setattr(free_space, "is_blank", lambda raw, partition: partition.number == 4)
    finding, remark = hygiene.RULES["free blocks are empty"].find(disk)
    assert finding == "partition 1: 12 KiB of free blocks have content, the first at byte 4096"
    assert remark == Remark("partition 3: free blocks were not read")
