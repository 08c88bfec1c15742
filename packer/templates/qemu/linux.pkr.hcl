# Boots the base under QEMU, provisions it with Ansible over SSH, shuts it down. The disk is an overlay on the base.

packer {
  required_plugins {
    qemu = {
      source  = "github.com/hashicorp/qemu"
      version = ">= 1.0.9, < 2"
    }
    ansible = {
      source  = "github.com/hashicorp/ansible"
      version = ">= 1.1.2, < 2"
    }
  }
}

# Packer asks Vault. It hides each string of a sensitive local in its output, so these are the values and no more.
local "secrets" {
  expression = { for name, secret in var.secrets : upper(name) => vault(secret.path, secret.key) }
  sensitive  = true
}

locals {
  # Only what gives us SSH: the other modules of cloud-init cost CPU time beside the first Ansible tasks, and the
  # machines made from this image run them anyway. Logging in as root needs no sudo and no user to remove again.
  user_data = {
    disable_root         = false
    users                = [{ name = "root", ssh_authorized_keys = [trimspace(file("${var.ssh_private_key}.pub"))] }]
    ssh_genkeytypes      = ["ed25519"]
    cloud_init_modules   = ["users-groups", "ssh"]
    cloud_config_modules = []
    cloud_final_modules  = []
  }
}

source "qemu" "linux" {
  # An overlay: nothing is copied. Its size must be told, or the plugin makes it 40 GiB.
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
  disk_interface     = "virtio"
  disk_cache         = "unsafe"
  disk_discard       = "unmap"
  disk_detect_zeroes = "unmap"
  net_device         = "virtio-net"

  headless    = true
  disable_vnc = true # also saves waiting for a boot command that is never typed

  qemuargs = [
    ["-vnc", "none"],
    # The plugin would open the port on every address of the host.
    ["-netdev", "user,id=user.0,hostfwd=tcp:127.0.0.1:{{ .SSHHostPort }}-:22"],
    ["-object", "rng-random,id=rng0,filename=/dev/urandom"],
    ["-device", "virtio-net,netdev=user.0"],
    ["-device", "virtio-rng-pci,rng=rng0"],
    # A full disk on the host fails the guest's write; QEMU would pause the guest for ever.
    ["-global", "virtio-blk-pci.werror=report"],
    ["-serial", "file:${var.serial_log}"],
    ["-pidfile", var.pid_file],
  ]

  # Goes to an IDE drive, which machine type pc has and Debian's cloud kernel knows; of q35 it sees no CD at all.
  cd_label = "cidata"
  cd_content = {
    "meta-data" = yamlencode({ instance-id = "${var.image}-${var.version}" })
    "user-data" = "#cloud-config\n${yamlencode(local.user_data)}"
  }

  communicator         = "ssh"
  ssh_username         = "root"
  ssh_private_key_file = var.ssh_private_key
  ssh_timeout          = var.ssh_timeout
  # Forced: services are killed, not stopped, so none writes to the sealed disk; file systems are unmounted as always.
  shutdown_command = "systemctl poweroff --force"
  shutdown_timeout = "5m"

  output_directory = var.output_folder
  vm_name          = "disk.qcow2"
}

build {
  sources = ["source.qemu.linux"]

  provisioner "ansible" {
    command       = var.ansible_playbook
    playbook_file = "${var.ansible_folder}/bake.yml"
    user          = "root"
    host_alias    = "image"
    # Its SSH proxy offers only ssh-rsa, which OpenSSH refuses, and is slow.
    use_proxy = false
    # Asking for the version takes as long as a task. Without it the plugin writes an inventory for Ansible 1.
    skip_version_check      = true
    inventory_file_template = "{{ .HostAlias }} ansible_host={{ .Host }} ansible_user={{ .User }} ansible_port={{ .Port }}\n"
    # The token ends here: a role gets the secrets of its definition and cannot ask for others.
    ansible_env_vars = concat(
      ["ANSIBLE_CONFIG=${var.ansible_folder}/ansible.cfg", "VAULT_TOKEN="],
      [for name, value in local.secrets : "${name}=${value}"],
    )
    extra_arguments = ["--extra-vars", "@${var.ansible_vars}"]
  }

  post-processor "manifest" {
    output      = var.manifest
    custom_data = { image = var.image, version = var.version }
  }
}
