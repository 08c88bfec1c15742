"""The document of a disk that no bake made."""

from bakery.model.documents import Artifact, Base, Disk


def artifact_of(disk: Disk, base: Base, image: str = "debian-12", version: str = "1.0.0") -> Artifact:
    """As if the disk had been baked on the base."""
    return Artifact(
        image=image,
        arch="x86_64",
        version=version,
        os="debian-12",
        mode="vm",
        input_key="k",
        inputs={},
        base=base,
        disk=disk,
        commit="",
        tools={},
        seconds={},
        created="2026-11-23T16:00:00+00:00",
        log="",
    )
