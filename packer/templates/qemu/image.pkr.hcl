# Boots the base under QEMU and shuts it down after Ansible. The disk is an overlay on the base. linux.pkr.hcl and
# windows.pkr.hcl add the devices, how Packer logs in, and the provisioner.

packer {
  required_plugins {
    qemu = {
      source  = "github.com/hashicorp/qemu"
      version = ">= 1.0.9, < 2"
    }
  }
}

locals {
  # The plugin would open the port on every address of the host.
  forward = "user,id=user.0,hostfwd=tcp:127.0.0.1:{{ .SSHHostPort }}-"
  qemuargs = [
    ["-vnc", "none"],
    ["-serial", "file:${var.serial_log}"],
    ["-pidfile", var.pid_file],
  ]
}

source "qemu" "image" {
  # An overlay: nothing is copied. The plugin makes it 40 GiB unless the size is given.
  disk_image       = true
  use_backing_file = true
  iso_url          = var.base_disk
  iso_checksum     = "none" # verified when it was made
  disk_size        = "${var.disk_size}b"
  format           = "qcow2"
  skip_compaction  = true # bakery flattens the disk afterwards

  qemu_binary       = "${path.root}/qemu.sh"
  machine_type      = var.machine_type
  accelerator       = var.accelerator # never guessed: /dev/kvm can open and still hang
  cpu_model         = var.cpu
  cpus              = var.cpus
  memory            = var.memory_mib
  efi_boot          = true
  efi_firmware_code = var.firmware_code
  efi_firmware_vars = var.firmware_vars

  # A build that dies with the host starts over, so nothing has to be flushed.
  disk_cache         = "unsafe"
  disk_discard       = "unmap"
  disk_detect_zeroes = "unmap"

  headless    = true
  disable_vnc = true # also saves the wait for a boot command that is never typed

  output_directory = var.output_folder
  vm_name          = "disk.qcow2"
}
