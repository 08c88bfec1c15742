"""The rules for Linux, a module for each subject."""
