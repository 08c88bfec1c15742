# Variables of this template beside those of common.pkr.hcl.

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
