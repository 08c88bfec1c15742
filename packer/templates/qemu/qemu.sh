#!/bin/sh
# Keeps QEMU's error messages: Packer shows them in its debug log only.
unset PKR_VAR_secret_values # QEMU needs no secret
# The bakery copies the disk of a running guest by its monitor.
[ -z "${QEMU_MONITOR:-}" ] || [ "$*" = -version ] || set -- "$@" -qmp "unix:$QEMU_MONITOR,server=on,wait=off"
exec qemu-system-x86_64 "$@" 2>>"${QEMU_LOG:-/dev/stderr}"
