"""Base disks, which other disks are built on: downloaded or made once and kept."""
