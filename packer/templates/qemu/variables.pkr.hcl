# Variables of this template beside those of common.pkr.hcl and ansible.pkr.hcl.

variable "base_disk" {
  type        = string
  description = "Disk to start from (qcow2); never written to."
}

variable "output_folder" {
  type        = string
  description = "Folder for the new disk; it does not exist yet."
}

variable "pid_file" {
  type        = string
  description = "File for the ID of the process that holds the disk, so that it can be ended if Packer is killed."
}

variable "disk_size" {
  type        = number
  description = "Virtual size of the base in bytes."
}

variable "ssh_private_key" {
  type        = string
  description = "Private key of this bake; the public key is beside it (.pub)."
}

variable "ssh_timeout" {
  type        = string
  description = "Time that the guest may take to answer."
}

variable "strategy_plugins" {
  type        = string
  description = "Folder of Mitogen's strategies for Ansible."
}

variable "serial_log" {
  type        = string
  description = "File for what the guest prints while it boots."
}

variable "accelerator" {
  type        = string
  description = "kvm, or tcg where that does not work."
}

variable "machine_type" {
  type        = string
  description = "QEMU's machine type."
}

variable "cpu" {
  type        = string
  description = "QEMU's CPU model."
}

variable "cpus" {
  type        = number
  description = "Virtual CPUs."
}

variable "memory_mib" {
  type        = number
  description = "Memory in MiB."
}

variable "firmware_code" {
  type        = string
  description = "UEFI firmware (read only)."
}

variable "firmware_vars" {
  type        = string
  description = "UEFI variables to copy from; they belong to the firmware."
}
