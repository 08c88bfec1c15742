#!/bin/sh
# Removes from a disk all that its copies must not share. Runs as root in a booted guest or in a chroot, and may
# run again. It looks for the files of every OS family; a missing file is no error.
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
rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/dhcp/*.leases \
    /var/lib/NetworkManager/*.lease /var/lib/NetworkManager/secret_key /var/lib/NetworkManager/seen-bssids

# If Amazon's agent ran during the bake, it stored the machine that it registered as.
if [ -d /var/lib/amazon/ssm ]; then
    find /var/lib/amazon/ssm -mindepth 1 -delete
fi

# Azure's agent knows best what it wrote for one machine. It also removes the login that Azure made for the build.
if command -v waagent >/dev/null; then
    waagent -force -deprovision+user
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
rm -rf /var/log/journal/* /var/lib/systemd/coredump/*
find /var/log -type f \( -name '*.gz' -o -name '*.[0-9]' -o -name '*.old' \) -delete
find /var/log -type f -exec truncate --size 0 {} +
find /tmp /var/tmp -xdev -mindepth 1 -delete 2>/dev/null || true # a file may still be in use

# Outside of a booted system files get no label; with this one, SELinux labels them at the first boot.
if [ -d /etc/selinux/targeted ] && ! selinuxenabled; then
    touch /.autorelabel
fi

# Blocks that held the above: discarded, they are neither stored nor uploaded, and cannot be read back.
sync
fstrim / || echo "this disk cannot discard: free blocks keep their old content" >&2
