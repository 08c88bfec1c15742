"""What the network stack is told."""

from bakery.strict import Model


class Network(Model):
    """A VPC of one's own."""
