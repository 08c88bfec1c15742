#!/bin/sh
# Removes from a disk all that its copies must not share. Runs as root in a booted guest or in a chroot, and may
# run again. It looks for the files of every OS family; a missing file is no error. tasks/main.yml sets two variables:
# keep_passwords leaves logins as they are, at_target says that the disk never comes to the bakery.
set -eu

# In the format that scripts/bakery/contents/apt.py reads: the archives as apt saw them last, and the versions that each
# has of what is installed. It stands before everything else that this script prints.
list_archives() {
    apt-get indextargets 'Created-By: Packages' | sed '/URI: /d' # the address in "Site" is without a login
    for file in /var/lib/apt/lists/*Release; do
        [ -f "$file" ] || continue
        printf 'Filename: %s\nSHA256: %s\n' "$file" "$(sha256sum <"$file" | cut -d ' ' -f 1)"
        sed -n '/^Date: /p; /^Valid-Until: /p; /^SHA256:/q' "$file"
        echo
    done
    echo 'Versions:'
    # shellcheck disable=SC2046 # one argument for each package
    apt-cache madison $(dpkg-query --show --showformat '${binary:Package}\n') | sed 's/^/ /'
    echo
}
if command -v apt-get >/dev/null; then
    list_archives || echo "apt cannot list the archives" >&2
fi
echo 'End: archives'

# Files that held packages at the versions of a lock (ansible/playbooks/lock/): the image gets its own archives back.
rm -f /etc/apt/preferences.d/00-bakery-lock /etc/apt/apt.conf.d/zz-bakery-lock
if [ -d /etc/apt ]; then
    grep -rlZ '^#bakery#$' /etc/apt | xargs -0 --no-run-if-empty \
        sed -i '/^#bakery# /,/^#bakery#$/ { s/^#bakery# //p; d }'
fi

# Package index and downloads: 162 of the 180 MB that a small role added in a measured bake.
if command -v apt-get >/dev/null; then
    apt-get clean
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
fi
if command -v dnf >/dev/null; then
    dnf --quiet clean all
    rm -rf /var/cache/dnf/*
fi

# Instance state, and what cloud-init wrote for this one machine.
if command -v cloud-init >/dev/null; then
    cloud-init clean --logs --seed
fi
rm -f /etc/sudoers.d/90-cloud-init-users /etc/ssh/sshd_config.d/50-cloud-init.conf \
    /etc/netplan/50-cloud-init.yaml /etc/network/interfaces.d/50-cloud-init* /etc/systemd/network/10-cloud-init-* \
    /etc/NetworkManager/system-connections/cloud-init-* /etc/NetworkManager/conf.d/*cloud-init*

# Identities. An empty machine ID is filled at boot; "uninitialized" would also reset which services are enabled.
rm -f /etc/ssh/ssh_host_*
: >/etc/machine-id
if [ -f /var/lib/dbus/machine-id ] && [ ! -L /var/lib/dbus/machine-id ]; then
    rm -f /var/lib/dbus/machine-id
fi
rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret \
    /boot/loader/random-seed /boot/efi/loader/random-seed /efi/loader/random-seed
if [ -n "${at_target:-}" ] && [ -d /run/systemd/system ]; then # its cloud stops the machine, and systemd would save one
    mkdir -p /run/systemd/system/systemd-random-seed.service.d
    printf '[Service]\nExecStop=\n' >/run/systemd/system/systemd-random-seed.service.d/no-seed.conf
    systemctl daemon-reload
fi
rm -f /var/lib/dhcp/*.lease* /var/lib/dhclient/*.lease* /var/lib/dhcpcd/*.lease* \
    /var/lib/NetworkManager/*.lease /var/lib/NetworkManager/secret_key /var/lib/NetworkManager/seen-bssids

# Identities for storage and subscriptions. Programs make each again, an initiator name where Debian asks for it.
rm -f /etc/nvme/hostid /etc/nvme/hostnqn /etc/lvm/devices/*.devices /etc/multipath/bindings /etc/multipath/wwids \
    /etc/pki/consumer/* /etc/pki/entitlement/* /etc/sysconfig/rhn/systemid /etc/insights-client/machine-id
rm -rf /etc/lvm/archive/* /etc/lvm/backup/* /var/lib/rhsm/facts/*
if [ -f /etc/iscsi/initiatorname.iscsi ]; then
    if [ -f /etc/debian_version ]; then
        echo 'GenerateName=yes' >/etc/iscsi/initiatorname.iscsi
    else
        rm -f /etc/iscsi/initiatorname.iscsi
    fi
fi

# Profiles of NetworkManager that an installer wrote (Anaconda gives its own this priority), or that name one card.
if [ -d /etc/NetworkManager/system-connections ]; then
    grep -rlZE '^(autoconnect-priority=-999|mac-address=)' /etc/NetworkManager/system-connections |
        xargs -0 --no-run-if-empty rm -f
fi

# The key that Debian's ssl-cert made when it was installed. A unit makes another before services need it.
if [ -f /etc/ssl/private/ssl-cert-snakeoil.key ] && command -v make-ssl-cert >/dev/null; then
    rm -f /etc/ssl/private/ssl-cert-snakeoil.key /etc/ssl/certs/ssl-cert-snakeoil.pem
    cat >/etc/systemd/system/ssl-cert-snakeoil.service <<'END'
[Unit]
Description=Make this machine's own snakeoil certificate
ConditionPathExists=!/etc/ssl/private/ssl-cert-snakeoil.key
DefaultDependencies=no
After=local-fs.target systemd-random-seed.service
Before=sysinit.target

[Service]
Type=oneshot
ExecStart=/usr/sbin/make-ssl-cert generate-default-snakeoil

[Install]
WantedBy=sysinit.target
END
    systemctl --quiet enable ssl-cert-snakeoil.service
fi

# If Amazon's agent ran during the bake, it stored the machine that it registered as.
if [ -d /var/lib/amazon/ssm ]; then
    find /var/lib/amazon/ssm -mindepth 1 -delete
fi

# Azure's agent knows best what it wrote for one machine. It also removes the login that Azure made for the build.
if command -v waagent >/dev/null; then
    waagent -force -deprovision+user
fi

# Passwords. Their hashes go as well: who has the disk could crack them. A key still lets a user in.
if [ -z "${keep_passwords:-}" ] && [ -f /etc/shadow ]; then
    while IFS=: read -r name password _; do
        case "$password" in
        *'$'*) ;;                       # a hash, perhaps locked
        '!'* | '*'*) continue ;;        # locked, without a hash
        esac
        usermod --password '*' "$name"
    done </etc/shadow
fi

# Copies of account files that tools made, with passwords of before, and debconf's answers that are passwords.
rm -f /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid-
rm -rf /var/backups/*
for file in /etc/security/opasswd /var/cache/debconf/passwords.dat /var/cache/debconf/passwords.dat-old; do
    [ ! -s "$file" ] || : >"$file"
done

# Files of installers: answers, logs, and settings that keep cloud-init from its own.
rm -rf /root/anaconda-ks.cfg /root/original-ks.cfg /root/initial-setup-ks.cfg /root/ks*.cfg /autoinst.xml /preseed.cfg \
    /etc/preseed.cfg /var/log/installer /var/log/anaconda /var/lib/subiquity /etc/cloud/cloud.cfg.d/99-installer.cfg \
    /etc/cloud/cloud.cfg.d/subiquity-*.cfg /etc/cloud/cloud.cfg.d/curtin-*.cfg /etc/netplan/*-installer-config.yaml

# Swap has memory of this machine. A line of /etc/fstab for a file that is gone would fail the boot.
if [ -d /run/systemd/system ] && command -v swapoff >/dev/null; then
    swapoff --all || true
fi
if [ -f /etc/fstab ]; then
    swap_files="$(awk '$1 ~ "^/" && $1 !~ "^/dev/" && $3 == "swap" { print $1 }' /etc/fstab)"
    for file in $swap_files /swapfile /swap.img /var/swap /swap/swapfile; do
        rm -f "$file"
    done
    [ -z "$swap_files" ] || sed -i '/^\/dev\//b; /^\/[^ \t]*[ \t]*[^ \t]*[ \t]*swap[ \t]/d' /etc/fstab
fi

# Keys and traces of all logins, those of the bake included.
getent passwd | cut -d: -f6 | sort -u | while read -r home; do
    [ "$home" != / ] && [ -d "$home" ] || continue
    rm -rf "$home/.ssh" "$home/.ansible" "$home/.cache" "$home/.bash_history" "$home/.python_history"
done

# Logs. Files are emptied, not removed: services expect theirs with the owner that the package gave them.
if [ -d /run/systemd/system ] && command -v journalctl >/dev/null; then
    journalctl --relinquish-var # from here on the journal is in memory only
fi
rm -rf /var/log/journal/* /var/lib/systemd/coredump/* /var/crash/* /var/spool/abrt/* /core /core.[0-9]*
for folder in /var/mail /var/spool/mail; do
    [ ! -d "$folder" ] || find "$folder/" -type f -size +0 -exec truncate --size 0 {} +
done
for folder in /var/spool/cron/atjobs /var/spool/at; do
    [ ! -d "$folder" ] || find "$folder" -type f ! -name .SEQ -delete
done
find /var/log -type f \( -name '*.gz' -o -name '*.[0-9]' -o -name '*.old' \) -delete
find /var/log -type f -exec truncate --size 0 {} +
find /tmp /var/tmp -xdev -mindepth 1 -delete 2>/dev/null || true # a file may still be in use

# Outside of a booted system files get no label; with this one, SELinux labels them at the first boot.
if [ -d /etc/selinux/targeted ] && ! selinuxenabled; then
    touch /.autorelabel
fi

# Free blocks still hold what was deleted. The bakery clears those of ext and FAT on a disk that comes to it. Others are
# filled with zeros here, as are all of a machine at a target, where no discard can be relied on (EBS refuses it).
clear_free_space() { # device, folder
    reserved="/sys/fs/ext4/$(basename "$(readlink -f "$1")")/reserved_clusters" # which not even root can fill
    [ ! -w "$reserved" ] || echo 0 >"$reserved"
    # Each ends when the file system is full. The second takes what the first held for its own blocks of extents.
    dd if=/dev/zero of="$2/.zeros" bs=1M 2>/dev/null || true
    sync
    dd if=/dev/zero of="$2/.more-zeros" bs=4096 2>/dev/null || true
    sync
    rm -f "$2/.zeros" "$2/.more-zeros"
}

sync
devices=" "
while read -r device folder type _; do
    case "$devices" in *" $device "*) continue ;; esac # a second mount of the same file system
    case "$type" in
    ext[234] | vfat) [ -z "${at_target:-}" ] || clear_free_space "$device" "$folder" ;;
    xfs | btrfs) clear_free_space "$device" "$folder" ;;
    *) continue ;;
    esac
    devices="$devices$device "
    fstrim "$folder" 2>/dev/null || true # zeros take little space as well
done </proc/mounts
if [ -n "${at_target:-}" ] && command -v blkid >/dev/null; then
    for device in $(blkid -o device -t TYPE=swap || true); do
        dd if=/dev/zero of="$device" bs=4096 seek=1 2>/dev/null || true # behind the header, to the end
    done
fi
