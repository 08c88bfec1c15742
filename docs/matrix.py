"""Images by OS, builder and target, and their test coverage: one row per image and target, from the definitions."""

from collections.abc import Iterator
from pathlib import Path

from bakery.clouds import BUILDERS, definitions
from bakery.model.definition import ImageDefinition

ROOT = Path(__file__).parents[1]
TARGETS = {"local": "local", "aws": "AWS", "vsphere": "vSphere", "azure": "Azure"}

# The coverage of images of an OS family that a source block of a template builds.
REAL = "baked, booted and tested for real"
BUILT = {
    ("debian", "qemu.linux"): REAL,
    ("debian", "null.linux"): REAL,
    ("debian", "amazon-ebs.linux"): "Packer, Ansible and a guest for real; EC2 is a test double",
    ("debian", "vsphere-clone.linux"): "Packer, Ansible and a guest for real; vCenter is a test double",
}
UNREACHED = "not baked: its vendor is unreachable here; Debian has the same roles"
VALIDATED = "validated by Packer with its real plugin; nothing here booted it"
# The destination of publications to a target in the tests.
PUBLISHED = {
    "local": "for real",
    "aws": "to [a strict test double](../../scripts/bakery/demo/stand_ins/aws/README.md)",
    "vsphere": "to [a strict test double](../../tests/doubles/vcenter/README.md)",
    "azure": "to Azurite and [a strict test double](../../tests/doubles/azure/README.md)",
}


def page() -> Iterator[str]:
    """The lines of the page."""
    yield "# Images and targets\n"
    yield "The test coverage of each definition in `packer/images/`. No test reaches a real cloud.\n"
    yield "| image | OS | built by | test of the build | target | publication |\n|---|---|---|---|---|---|"
    for image in definitions.load(ROOT / "packer" / "images").images.values():
        for target in image.targets:
            yield _row(image, target)
    yield "\nThe templates support these combinations, including those that no definition above uses:\n"
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
