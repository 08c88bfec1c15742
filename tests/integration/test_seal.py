"""The seal on a real disk, in a chroot without Ansible and Packer, and the rules on what it leaves."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.machine import disk_image
from bakery.machine.disk_image import BaseDisk
from bakery.machine.file_tree import FileTree, read_tree
from bakery.machine.filesystem import root_of
from bakery.machine.free_space import clear_free_space
from bakery.verify import hygiene

pytestmark = [pytest.mark.integration, pytest.mark.root]

HASH = "$y$j9T$abcdefgh$ijklmnop"
# What a bake may leave, by path. The seal removes or empties each.
LEFT = {
    "/etc/ssh/ssh_host_ed25519_key": "x",
    "/etc/sudoers.d/90-cloud-init-users": "x",
    "/etc/passwd-": "x",
    "/etc/shadow-": "x",
    "/etc/security/opasswd": "x",
    "/etc/nvme/hostnqn": "x",
    "/etc/iscsi/initiatorname.iscsi": "InitiatorName=iqn.1993-08.org.debian:01:1\n",
    "/etc/lvm/backup/system": "x",
    "/etc/lvm/devices/system.devices": "x",
    "/etc/cloud/cloud.cfg.d/99-installer.cfg": "x",
    "/etc/netplan/00-installer-config.yaml": "x",
    "/etc/NetworkManager/system-connections/eth0.nmconnection": "[connection]\nautoconnect-priority=-999\n",
    "/etc/machine-id": "48a615ae1bd940c0ba9a0740a325d94d\n",
    "/root/.ssh/authorized_keys": "x",
    "/root/.ssh/id_ed25519": "-----BEGIN OPENSSH PRIVATE KEY-----\n",
    "/root/.ssh/known_hosts": "x",
    "/root/.bash_history": "x",
    "/root/anaconda-ks.cfg": "x",
    "/swap.img": "x" * 8192,
    "/more.swap": "x" * 8192,
    "/core.12": "x",
    "/tmp/left": "x",
    "/var/tmp/.left/x": "x",
    "/var/backups/shadow.bak": "x",
    "/var/cache/debconf/passwords.dat": "x",
    "/var/crash/x.crash": "x",
    "/var/lib/amazon/ssm/Vault/key": "x",
    "/var/lib/cloud/instances/i-1/user-data.txt": "x",
    "/var/lib/cloud/seed/nocloud/user-data": "x",
    "/var/lib/dhcp/dhclient.leases": "x",
    "/var/lib/NetworkManager/secret_key": "x",
    "/var/lib/systemd/random-seed": "x",
    "/var/lib/systemd/credential.secret": "x",
    "/var/log/installer/syslog": "x",
    "/var/log/left.log": "x" * 100_000,
    "/var/mail/root": "From root",
    "/var/spool/cron/atjobs/a00001": "x",
}
SCRIPT = """
set -eu
mkdir "$FOLDER/mounted"
mount -o "loop,offset=$START" "$RAW" "$FOLDER/mounted"
root="$FOLDER/mounted"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
cp -a "$FOLDER/left/." "$root/"
echo '/more.swap none swap sw 0 0' >>"$root/etc/fstab"
echo '/dev/vdb none swap sw 0 0' >>"$root/etc/fstab"
echo "ann:x:1000:1000::/home/ann:/bin/sh" >>"$root/etc/passwd"
echo "ann:!$HASH:1::::::" >>"$root/etc/shadow"
sed -i "s|^root:[^:]*|root:$HASH|; s|^daemon:[^:]*|daemon:|" "$root/etc/shadow"
{ echo "$VARIABLES"; cat "$SEAL"; } | chroot "$root" sh -s
umount --recursive "$root"
"""


@pytest.fixture
def raw(base_disk: BaseDisk) -> Iterator[Path]:
    with disk_image.as_raw(base_disk.path) as copy:
        yield copy


def seal(raw: Path, project_root: Path, variables: str = "") -> FileTree:
    """Write all that is left to the root of a disk, and seal it."""
    root = root_of(raw)
    assert root
    for path, text in LEFT.items():
        target = raw.parent / "left" / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "RAW": str(raw),
        "START": str(root.partition.start),
        "FOLDER": str(raw.parent),
        "HASH": HASH,
        "SEAL": str(project_root / "ansible" / "roles" / "seal" / "files" / "seal.sh"),
        "VARIABLES": variables,
    }
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", SCRIPT]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return read_tree(root)


def test_a_sealed_disk_passes_all_rules(raw: Path, project_root: Path) -> None:
    files = seal(raw, project_root)
    clear_free_space(raw)
    assert {check.name: check.detail for check in hygiene.check(raw, hygiene.RULES) if not check.passed} == {}
    fields = [line.split(":")[1] for line in files.read("/etc/shadow").splitlines()]
    assert set(fields) <= {"*", "!", "!*"}
    assert files.read("/etc/iscsi/initiatorname.iscsi") == "GenerateName=yes\n"
    assert "more.swap" not in files.read("/etc/fstab")
    assert "/dev/vdb none swap" in files.read("/etc/fstab")
    assert b"x" * 4096 not in raw.read_bytes()


def test_passwords_stay_if_the_definition_says_so(raw: Path, project_root: Path) -> None:
    files = seal(raw, project_root, "keep_passwords=yes")
    shadow = files.read("/etc/shadow")
    assert f"root:{HASH}:" in shadow
    assert f"ann:!{HASH}:" in shadow
    assert not files.find("/etc/shadow-")


@pytest.mark.soak  # it fills 3 GiB; the first test here clears the same blocks from outside
def test_a_machine_at_a_target_fills_its_free_space(raw: Path, project_root: Path) -> None:
    seal(raw, project_root, "at_target=yes; fstrim() { return 1; }")  # as EBS refuses it
    assert {check.name: check.detail for check in hygiene.check(raw, hygiene.RULES) if not check.passed} == {}
