"""The local cloud: QEMU builds the disk, a folder keeps it."""
