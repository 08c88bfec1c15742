"""The origin and the bytes of a version: one in-toto statement per version, compared with disks."""

from bakery.provenance.comparison import compare_disks
from bakery.provenance.envelope import read_payload
from bakery.provenance.predicate import BUILD_TYPE, PREDICATE_TYPE, Run, describe_provenance
from bakery.provenance.subjects import BLOCKS, AttestedDisk, HeldImage, find_disk, location_name

__all__ = [
    "BLOCKS",
    "BUILD_TYPE",
    "PREDICATE_TYPE",
    "AttestedDisk",
    "HeldImage",
    "Run",
    "compare_disks",
    "describe_provenance",
    "find_disk",
    "location_name",
    "read_payload",
]
