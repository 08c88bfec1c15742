#!/bin/sh
# Runs Packer, and keeps the guest of a failed build running: `keep_guest.sh PID_FILE SSH_CONFIG PYTHON PROGRAM SOCKET
# PACKER...`. QEMU's process ID is in PID_FILE. If the guest accepts the login of SSH_CONFIG, PROGRAM (which is
# give_connections.py) hands out connections to it at SOCKET until the guest ends; else this ends. The exit code is
# Packer's.
set -u
seconds=20 # for the login; it takes up to 3 in an emulated guest on a busy machine
pid_file="$1" config="$2" python="$3" give_connections="$4" socket="$5"
shift 5

# Packer gets the interrupt as well, and is given the time to end. It also ends if this shell is killed.
interrupted=
trap 'interrupted=yes' INT
setpriv --pdeathsig TERM -- "$@"
status="$?"
trap - INT
if [ "$status" -eq 0 ] || [ -n "$interrupted" ] || ! guest="$(cat "$pid_file" 2>/dev/null)"; then
    exit "$status"
fi
port="$(tr '\0' '\n' 2>/dev/null <"/proc/$guest/cmdline" | sed -n 's/.*hostfwd=tcp:[^:]*:\([0-9]*\)-:22$/\1/p')"

# Neither program gets the secrets that Packer's environment has.
# shellcheck disable=SC2016 # the inner shell expands it
if [ -z "$port" ] || ! setpriv --pdeathsig TERM -- env -i PATH="$PATH" timeout "$seconds" \
    sh -c 'until ssh -F "$1" -o ProxyCommand=none -p "$2" guest true; do sleep 0.5; done' sh "$config" "$port" \
    >/dev/null 2>&1; then
    exit "$status"
fi
exec env -i PATH="$PATH" "$python" -IS "$give_connections" "$socket" "$port" "$guest" "$status"
