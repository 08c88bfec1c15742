#!/bin/sh
# Keeps what QEMU complains about: Packer shows it in its debug log only.
exec qemu-system-x86_64 "$@" 2>>"${QEMU_LOG:-/dev/stderr}"
