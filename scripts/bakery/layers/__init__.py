"""What disks are built on: base disks, downloaded or made once and kept."""
