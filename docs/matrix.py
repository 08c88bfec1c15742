"""OS, target and how it was tested here: one row per image and way, out of the definitions."""

from collections.abc import Iterator
from pathlib import Path

from bakery.clouds import BUILDERS, definitions
from bakery.model.definition import ImageDefinition

ROOT = Path(__file__).parents[1]
TARGETS = {"local": "local", "aws": "AWS", "vsphere": "vSphere", "azure": "Azure"}

# What the tests of this repository do with images of a family that a block of an image file builds.
REAL = "baked, booted and tested for real"
BUILT = {
    ("debian", "qemu.linux"): REAL,
    ("debian", "null.linux"): REAL,
    ("debian", "amazon-ebs.linux"): "Packer, Ansible and a guest for real; EC2 is a stand-in",
    ("debian", "vsphere-clone.linux"): "Packer, Ansible and a guest for real; vCenter is a stand-in",
}
UNREACHED = "not baked: its vendor cannot be reached from here; the same roles are on Debian"
VALIDATED = "validated by Packer with its real plugin; nothing here booted it"
# What a target is here, for what is published there.
PUBLISHED = {
    "local": "for real",
    "aws": "to [a strict stand-in](../../scripts/bakery/demo/stand_ins/aws/README.md)",
    "vsphere": "to [a strict stand-in](../../tests/doubles/vcenter/README.md)",
    "azure": "to Azurite and [a strict stand-in](../../tests/doubles/azure/README.md)",
}


def page() -> Iterator[str]:
    """The lines of the page."""
    yield "# Images, targets, and how they are tested\n"
    yield "Of the definitions in `packer/images/`, by the tests of this repository. No test reaches a real cloud.\n"
    yield "| image | OS | built by | how that is tested | target | published |\n|---|---|---|---|---|---|"
    for image in definitions.load(ROOT / "packer" / "images").images.values():
        for target in image.targets:
            yield _row(image, target)
    yield "\nEvery way that the image files know, whether a definition above uses it or not:\n"
    yield "| target | built by | forms |\n|---|---|---|"
    yield "| any | the QEMU disk, baked once and published | Linux, Windows |"
    yield "| AWS | `amazon-ebs` | Linux (SSH), Windows (WinRM) |"
    yield "| vSphere | `vsphere-clone`, `vsphere-iso` | Linux (SSH), Windows (WinRM) |"
    yield "| Azure | `azure-arm` | Linux (SSH), Windows (WinRM) |"
    yield ""


def _row(image: ImageDefinition, target: str) -> str:
    builder = image.builder_of(target)
    source = BUILDERS[builder].source(image)
    family = image.os.partition("-")[0]
    if builder == "qemu" and not image.provisioned:
        built, tested = "mmdebstrap" if image.base.qemu and image.base.qemu.debootstrap else "the vendor", REAL
    else:
        built = f"`{source.partition('.')[0].replace('null', 'chroot')}`"
        tested = BUILT.get((family, source)) or (UNREACHED if builder == "qemu" else VALIDATED)
    published = "-" if tested in (UNREACHED, VALIDATED) else PUBLISHED[target]
    return f"| {image.name} | {image.os} | {built} | {tested} | {TARGETS[target]} | {published} |"
