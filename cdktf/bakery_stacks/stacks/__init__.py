"""One package per stack: its settings, its resources, its rights, its user data."""
