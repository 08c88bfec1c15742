"""One package for each stack: its settings, resources, rights and user data."""
