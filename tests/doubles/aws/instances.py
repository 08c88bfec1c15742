"""EC2 instances: each has an address on loopback, where a test may let a guest answer (see `guests`)."""

import itertools

from moto.ec2.models import elastic_network_interfaces

_numbers = itertools.count(1)


def loopback_address() -> str:
    """127.77.0.1, 127.77.0.2, …: Linux answers on all of 127/8 without any set-up."""
    number = next(_numbers)
    return f"127.77.{number // 250}.{number % 250 or 250}"


def install() -> None:
    """Moto invents an address from all over the world instead: a client would try to reach it."""
    elastic_network_interfaces.random_public_ip = loopback_address
