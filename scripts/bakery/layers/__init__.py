"""Base disks, from which other disks are built: downloaded or made once, and kept."""
