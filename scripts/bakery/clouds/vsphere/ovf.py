"""A disk as an OVF package: a descriptor and a compressed VMDK, which is what a content library takes.

The virtual hardware is the same for every image of a system. Debian's cloud kernel has drivers for PVSCSI, NVMe and
VMXNET3, and none for LSI Logic, AHCI or E1000; Windows Setup has the opposite set.
"""

from dataclasses import dataclass
from pathlib import Path

from bakery.host import files, process
from bakery.host.errors import BakeryError
from bakery.machine import disk_image
from bakery.machine.block_stream import list_blocks, open_raw
from bakery.model.documents import Disk

# vSphere 7.0 U2 and later (VMware's KB 315655): the oldest that still gets updates.
HARDWARE = "vmx-19"
CPUS, MEMORY_MIB = 2, 2048  # defaults; the deployment can choose others


@dataclass(frozen=True)
class System:
    """vSphere's name of an operating system (`id` is CIM's number, 1 for others), and hardware that it can drive."""

    id: int
    name: str
    controller: str
    network: str


LINUX = System(101, "otherLinux64Guest", "VirtualSCSI", "VmxNet3")
# Identifiers that vSphere 7.0 U2 knows; those of newer releases make no difference here.
SYSTEMS = {
    "debian": System(96, "debian11_64Guest", "VirtualSCSI", "VmxNet3"),
    "ubuntu": System(94, "ubuntu64Guest", "VirtualSCSI", "VmxNet3"),
    "rocky": System(80, "rhel9_64Guest", "VirtualSCSI", "VmxNet3"),
    "windows": System(1, "windows2019srvNext_64Guest", "lsilogicsas", "E1000e"),
}

# Names, numbers and identifiers go in: none of them needs to be escaped.
DESCRIPTOR = """\
<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
    xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
    xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
    <File ovf:id="file1" ovf:href="{name}.vmdk" ovf:size="{vmdk_size}"/>
  </References>
  <DiskSection>
    <Info>Disks</Info>
    <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="{capacity}" ovf:capacityAllocationUnits="byte"
        ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection>
    <Info>Networks</Info>
    <Network ovf:name="VM Network">
      <Description>Chosen at deployment</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="{name}">
    <Info>An image</Info>
    <Name>{name}</Name>
    <OperatingSystemSection ovf:id="{system.id}" vmw:osType="{system.name}">
      <Info>Operating system</Info>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>Hardware</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>{name}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>{hardware}</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits>
        <rasd:ElementName>{cpus} virtual CPUs</rasd:ElementName>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>{cpus}</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
        <rasd:ElementName>{memory} MiB of memory</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>{memory}</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:ElementName>SCSI controller 0</rasd:ElementName>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>{system.controller}</rasd:ResourceSubType>
        <rasd:ResourceType>6</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:ElementName>Hard disk 1</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/disk1</rasd:HostResource>
        <rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>7</rasd:AddressOnParent>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>VM Network</rasd:Connection>
        <rasd:ElementName>Network adapter 1</rasd:ElementName>
        <rasd:InstanceID>5</rasd:InstanceID>
        <rasd:ResourceSubType>{system.network}</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
      </Item>
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
      <vmw:Config ovf:required="false" vmw:key="bootOptions.efiSecureBootEnabled" vmw:value="false"/>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"""


@dataclass(frozen=True)
class PackedFile:
    """A file of a package, and the SHA-256 of the bytes that were checked: vCenter refuses others."""

    path: Path
    sha256: str


def pack(disk: Disk, name: str, os: str, folder: Path) -> list[PackedFile]:
    """Write the descriptor and the VMDK of a disk into a folder; the descriptor comes first, as vCenter wants it.

    BakeryError unless the VMDK has the content that was baked.
    """
    vmdk, ovf = folder / f"{name}.vmdk", folder / f"{name}.ovf"
    _convert_disk(Path(disk.path), vmdk)
    packed = PackedFile(vmdk, files.sha256(vmdk))
    _refuse_other_content(disk, vmdk)
    files.write_atomic(ovf, describe(name, os, disk.virtual_size, vmdk.stat().st_size).encode())
    return [PackedFile(ovf, files.sha256(ovf)), packed]


def describe(name: str, os: str, capacity: int, vmdk_size: int) -> str:
    """The descriptor; sizes in bytes."""
    return DESCRIPTOR.format(
        name=name,
        vmdk_size=vmdk_size,
        capacity=capacity,
        system=SYSTEMS.get(os.partition("-")[0], LINUX),
        hardware=HARDWARE,
        cpus=CPUS,
        memory=MEMORY_MIB,
    )


def _convert_disk(disk: Path, vmdk: Path) -> None:
    """Compress a disk to a stream-optimized VMDK."""
    # The adapter type only sets the disk's geometry; the descriptor sets the controller.
    options = "subformat=streamOptimized,adapter_type=lsilogic"
    process.run(["qemu-img", "convert", "-f", "qcow2", "-O", "vmdk", "-o", options, disk, vmdk])


def _refuse_other_content(disk: Disk, vmdk: Path) -> None:
    """Read the file that is sent, not the disk that it was made of, which may have changed since."""
    with disk_image.as_raw(vmdk) as raw:
        size, blocks = raw.stat().st_size, list_blocks(open_raw(raw)).sha256
    if (size, blocks) != (disk.virtual_size, disk.blocks):
        raise BakeryError(
            f"the content of {vmdk.name} is not that of the disk that was tested",
            where=disk.path,
            detail=f"tested {disk.blocks}, {disk.virtual_size} bytes\npacked {blocks}, {size} bytes",
            hint="the disk changed since it was tested, or qemu-img converted it wrongly: bake a new version",
        )
