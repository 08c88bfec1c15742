"""Types of machines: those that our images do not run on are refused by their names."""

import pytest
from pydantic import TypeAdapter, ValidationError

from bakery_stacks.fields.machine import DisklessType, InstanceType

X86 = [
    *("t3.small", "t3a.micro", "m6i.large", "m6a.large", "m7i-flex.large", "c6in.2xlarge", "r7iz.large"),
    *("x2iezn.2xlarge", "u-6tb1.56xlarge", "u7in-16tb.224xlarge", "hpc7a.12xlarge", "inf2.xlarge", "m5.metal"),
]
OWN_DISKS = ["m6id.large", "c5ad.large", "r5dn.large", "i3.large", "d3en.xlarge", "g4dn.xlarge", "g5.xlarge"]
ARM = ["t4g.small", "m7g.large", "c6gd.large", "c7gn.large", "im4gn.large", "is4gen.large", "x2gd.large", "a1.large"]


@pytest.mark.parametrize("kind", [*X86, *OWN_DISKS])
def test_types_of_our_architecture(kind: str) -> None:
    assert TypeAdapter(InstanceType).validate_python(kind) == kind


@pytest.mark.parametrize("kind", [*ARM, "g5g.xlarge", "hpc7g.4xlarge"])
def test_types_of_another(kind: str) -> None:
    with pytest.raises(ValidationError, match="has an ARM processor, and the image is for x86_64"):
        TypeAdapter(InstanceType).validate_python(kind)


@pytest.mark.parametrize("kind", X86)
def test_types_without_disks(kind: str) -> None:
    assert TypeAdapter(DisklessType).validate_python(kind) == kind


@pytest.mark.parametrize("kind", OWN_DISKS)
def test_types_with_disks(kind: str) -> None:
    with pytest.raises(ValidationError, match="has a disk of its own"):
        TypeAdapter(DisklessType).validate_python(kind)
