"""Disks and guests: disk images, partitions, QEMU and SSH."""
