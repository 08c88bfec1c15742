"""Disks and guests: disk images, partitions, file systems, QEMU, its saved boots, networks and SSH."""
