"""What the stack for GitLab runners is told."""

from bakery.strict import Model


class Runner(Model):
    """For GitLab runners."""
