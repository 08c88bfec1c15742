"""What the stack for galleries is told."""

from bakery.strict import Model


class Azure(Model):
    """For galleries."""
