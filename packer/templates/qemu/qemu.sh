#!/bin/sh
# Keeps QEMU's error messages: Packer shows them in its debug log only.
unset PKR_VAR_secret_values # QEMU needs no secret
exec qemu-system-x86_64 "$@" 2>>"${QEMU_LOG:-/dev/stderr}"
