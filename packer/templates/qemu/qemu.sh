#!/bin/sh
# Runs QEMU with its options in one order, and keeps its error messages: Packer shows them in its debug log only. The
# plugin gives the options in another order each time, and hardware has its addresses by that order.
#
# QEMU_MACHINE names a file to write the machine's description to, QEMU_BOOT the folder of a saved boot to restore. It
# fits no other machine than the one that was saved.
set -eu
unset PKR_VAR_secret_values # QEMU needs no secret
exec 2>>"${QEMU_LOG:-/dev/stderr}"
tab="$(printf '\t')" newline='
'

# One line for each option, with its value behind a tab. Options of one name stay in the order that they have.
list_options() {
    for word; do
        case "$word" in
        -*) printf '\n%s' "$word" ;;
        *) printf '\t%s' "$word" ;;
        esac
    done | sed 1d | LC_ALL=C sort -s -t "$tab" -k 1,1
}

# The options without what the guest does not see: files and ports of the host.
describe() {
    sed -e '/^-\(pidfile\|qmp\|name\)/d' -e "s/^-netdev${tab}user,id=\([^,]*\).*/-netdev${tab}user,id=\1/" \
        -e 's/file[=:][^,]*/file/'
}

options="$(list_options "$@")"
set -f
IFS="$tab$newline"
# shellcheck disable=SC2086 # it splits at tabs and newlines
set -- $options
unset IFS
if [ -n "${QEMU_MACHINE:-}" ]; then
    printf '%s\n' "$options" | describe >"$QEMU_MACHINE"
fi
if [ -n "${QEMU_BOOT:-}" ] && [ "$*" != -version ]; then
    if [ "$(printf '%s\n' "$options" | describe)" != "$(cat "$QEMU_BOOT/machine")" ]; then
        echo "the saved boot is of another machine" >&2
        exit 1
    fi
    set -- "$@" -incoming "exec:zstd -dcq '$QEMU_BOOT/memory.zst'"
fi
# The bakery copies the disk of a running guest by its monitor.
[ -z "${QEMU_MONITOR:-}" ] || [ "$*" = -version ] || set -- "$@" -qmp "unix:$QEMU_MONITOR,server=on,wait=off"
exec qemu-system-x86_64 "$@"
