"""The stack that runs GitLab's jobs."""
