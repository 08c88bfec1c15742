"""The disks that bakes start from, kept in a cache: base disks, saved boots of them, and layers of earlier bakes."""
