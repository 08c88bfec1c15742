#!/bin/sh
# Keeps QEMU's error messages: Packer shows them in its debug log only.
exec qemu-system-x86_64 "$@" 2>>"${QEMU_LOG:-/dev/stderr}"
