"""What the stack for content libraries is told."""

from bakery.strict import Model


class Vsphere(Model):
    """For content libraries."""
