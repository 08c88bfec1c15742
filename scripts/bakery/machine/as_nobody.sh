#!/bin/sh
# Runs a command as the user nobody: `as_nobody.sh HIDDEN FILES COMMAND...`. root calls it, in a mount namespace of its
# own. The command owns the folder FILES and sees nothing else of the folder HIDDEN. It has a /dev/shm of its own. In
# $TMPDIR it owns the folder `ansible` and copies of the files there, and sees none of the sockets by which Packer's
# plugins talk.
set -eu
umask 022 # the way to FILES is open
hidden="$1" files="$2"
shift 2
group="$(id -g nobody)"

hide() {
    mount -t tmpfs -o mode=711 tmpfs "$1"
}

show() { # what the file descriptor $1 has, at $2
    mkdir -p "$2"
    mount --no-canonicalize --bind "/proc/self/fd/$1" "$2"
}

mkdir -p "$files/tmp" "$TMPDIR/ansible"
chown -R "nobody:$group" "$files" "$TMPDIR/ansible"
exec 7<"$TMPDIR/ansible" 8<"$TMPDIR" 9<"$files" # ways to what is hidden from here on
hide "$hidden"
show 9 "$files"
mkdir -p "$TMPDIR"
hide "$TMPDIR"
find /proc/self/fd/8/ -maxdepth 1 -type f -exec cp -t "$TMPDIR" {} +
# Ansible of root may have left a folder there, in which a task that is delegated to this machine could make no file.
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
# Ansible makes temporary files in the home of its user, and nobody has none.
awk -F : -v OFS=: -v home="$files" '$1 == "nobody" { $6 = home } { print }' /etc/passwd >"$TMPDIR/passwd"
mount --bind "$TMPDIR/passwd" /etc/passwd
chown "nobody:$group" "$TMPDIR"/*
show 7 "$TMPDIR/ansible"
exec 7<&- 8<&- 9<&-
cd /
HOME="$files" TMPDIR="$files/tmp" exec setpriv --reuid=nobody --regid="$group" --clear-groups --no-new-privs \
    --inh-caps=-all --bounding-set=-all -- "$@"
