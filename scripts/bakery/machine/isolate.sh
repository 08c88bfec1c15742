#!/bin/sh
# Runs a command in a network and a process namespace of its own: `isolate.sh PORTS COMMAND...`. The command reaches the
# internet, and of this machine's loopback only the TCP and UDP ports in PORTS (a comma-separated list, "none" for none).
# No metadata service of a cloud answers. The command sees no process of this machine, and so no token in the environment
# of one. Fails before the command starts if this machine allows no such namespaces.
#
# pasta (package passt) carries the packets between the two networks. All of it ends with the command, and with the
# process that started this one.
set -eu
user=

# Addresses of metadata services: AWS, Azure, GCP and most others; AWS by IPv6; Azure's agent; Alibaba; Oracle.
metadata='169.254.0.0/16 fd00:ec2::/32 168.63.129.16/32 100.100.100.200/32 192.0.0.192/32'

# As root only network and mounts are new, since a chroot needs the other users of this machine. A user becomes root of
# a new user namespace, and himself again for the command.
if [ "${ISOLATE_STEP-}" = "" ]; then
    [ "$(id -u)" -eq 0 ] || user=--map-root-user
    ISOLATE_STEP="$(id -u):$(id -g)" exec unshare ${user:+"$user"} --mount --propagation private -- sh "$0" "$@"
fi

ports="$1"
shift
uid="${ISOLATE_STEP%:*}" gid="${ISOLATE_STEP#*:}"
unset ISOLATE_STEP
folder="$(mktemp -d)"
mount -t tmpfs -o mode=700 tmpfs "$folder"
: >"$folder/net"
unshare --net="$folder/net" true

# It stays for as long as this process, which becomes the command.
(
    pasta --foreground --no-netns-quit --config-net --no-map-gw --runas 0 --tcp-ports none --udp-ports none \
        --tcp-ns "$ports" --udp-ns "$ports" --netns-only --netns "$folder/net" >"$folder/log" 2>&1 &
    pasta="$!"
    tail --pid="$$" --follow /dev/null || true
    kill "$pasta" || true
) &
carrier="$!"

find_error() {
    grep -v syslog "$folder/log" | grep -i -m 1 'fail\|couldn\|not usable\|not found' || true
}

enter() {
    nsenter --net="$folder/net" -- "$@"
}

tries=100 # twentieths of a second; it takes two
until enter grep -q '^[^[:space:]]*[[:space:]]00000000[[:space:]]' /proc/net/route; do
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ] || ! kill -0 "$carrier" 2>/dev/null || [ -n "$(find_error)" ]; then
        kill "$carrier" 2>/dev/null || true
        echo "error: pasta cannot connect the network: $(find_error)" >&2
        umount --lazy "$folder" && rmdir "$folder"
        exit 1
    fi
    sleep 0.05
done
for block in $metadata; do
    case "$block" in
    *:*) [ ! -e /proc/sys/net/ipv6 ] || enter ip route add blackhole "$block" ;;
    *) enter ip route add blackhole "$block" ;;
    esac
done

# systemd-resolved listens on this machine's loopback. It writes down the name servers that it asks.
servers=/run/systemd/resolve/resolv.conf
if grep -q '^nameserver 127\.0\.0\.53' /etc/resolv.conf && [ -f "$servers" ]; then
    mount --bind "$servers" "$(readlink -f /etc/resolv.conf)"
fi

# Nobody needs the folder any more, and a kill of all processes would leave it. The last shell is the first process of
# its namespace: unshare(1) itself would not pass on that the command was killed.
[ "$uid" -eq 0 ] || user="--map-user=$uid"
# shellcheck disable=SC2016 # the inner shells expand it
exec nsenter --net="$folder/net" -- sh -c 'umount --lazy "$0" && rmdir "$0"; exec "$@"' "$folder" \
    setpriv --pdeathsig KILL -- unshare ${user:+"$user" "--map-group=$gid"} --pid --fork --kill-child --mount-proc -- \
    sh -c '"$@"; exit "$?"' sh "$@"
