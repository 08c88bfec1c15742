# The same work as packer/images/web.yaml with the plugins' defaults. The one exception is use_proxy: the proxy offers only
# ssh-rsa, which current OpenSSH clients refuse, so with true defaults nothing builds at all.

packer {
  required_plugins {
    qemu = {
      source  = "github.com/hashicorp/qemu"
      version = ">= 1.0.9"
    }
    ansible = {
      source  = "github.com/hashicorp/ansible"
      version = ">= 1.0.3"
    }
  }
}

variable "base_disk" { type = string }
variable "output_folder" { type = string }
variable "ansible_playbook" { type = string }
variable "ansible_folder" { type = string }
variable "ansible_vars" { type = string }
variable "ssh_private_key" { type = string }
variable "accelerator" { type = string }
variable "firmware_code" { type = string }
variable "firmware_vars" { type = string }

source "qemu" "stock" {
  disk_image        = true
  iso_url           = var.base_disk
  iso_checksum      = "none"
  accelerator       = var.accelerator
  headless          = true
  cpus              = 1
  memory            = 2048
  efi_boot          = true
  efi_firmware_code = var.firmware_code
  efi_firmware_vars = var.firmware_vars
  cd_label          = "cidata"
  cd_content = {
    "meta-data" = "instance-id: stock\n"
    "user-data" = "#cloud-config\ndisable_root: false\nusers:\n- name: root\n  ssh_authorized_keys: [\"${trimspace(file("${var.ssh_private_key}.pub"))}\"]\n"
  }
  ssh_username         = "root"
  ssh_private_key_file = var.ssh_private_key
  ssh_timeout          = "15m"
  shutdown_command     = "systemctl poweroff"
  output_directory     = var.output_folder
}

build {
  sources = ["source.qemu.stock"]
  provisioner "ansible" {
    command          = var.ansible_playbook
    playbook_file    = "${var.ansible_folder}/bake.yml"
    user             = "root"
    use_proxy        = false
    ansible_env_vars = ["ANSIBLE_HOST_KEY_CHECKING=False", "ANSIBLE_ROLES_PATH=${var.ansible_folder}/../roles"]
    extra_arguments  = ["--extra-vars", "@${var.ansible_vars}"]
  }
}
