#!/bin/sh
# Runs under sh when all packages are installed; $1 is the root of the new system, seen from outside.
set -eu
root="$1"

# Debian leaves some of these off; enabling one twice is no error.
chroot "$root" systemctl --quiet enable systemd-networkd systemd-resolved systemd-timesyncd
# They look for LVM snapshots, which such a disk cannot have.
chroot "$root" systemctl --quiet disable e2scrub_all.timer e2scrub_reap.service

# No two machines may share these.
rm -f "$root"/etc/ssh/ssh_host_*

# Copies that tools made of account files when packages added users.
rm -f "$root"/etc/passwd- "$root"/etc/shadow- "$root"/etc/group- "$root"/etc/gshadow- "$root"/etc/subuid- "$root"/etc/subgid-

# The EFI system partition, laid out as the system itself will do it at its next kernel update.
esp="$root/boot/efi"
loader="$root/usr/lib/systemd/boot/efi/systemd-bootx64.efi"
kernel="$(basename "$root"/boot/vmlinuz-*)"
kernel="${kernel#vmlinuz-}"
mkdir -p "$esp/EFI/BOOT" "$esp/EFI/systemd" "$esp/loader/entries"
cp "$loader" "$esp/EFI/BOOT/BOOTX64.EFI" # the path that firmware without boot variables looks at
cp "$loader" "$esp/EFI/systemd/"
printf 'timeout 0\ndefault debian-*\n' >"$esp/loader/loader.conf"
chroot "$root" env BOOT_ROOT=/boot/efi kernel-install add "$kernel" "/boot/vmlinuz-$kernel" "/boot/initrd.img-$kernel"
# Paths in an entry count from the partition's root; kernel-install cannot know yet that one will be mounted here.
sed -i 's# /boot/efi/# /#' "$esp"/loader/entries/*.conf
