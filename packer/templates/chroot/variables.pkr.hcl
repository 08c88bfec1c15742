# What this template gets beside common.pkr.hcl.

variable "base_disk" {
  type        = string
  description = "Disk to start from (qcow2); never written to."
}

variable "output_folder" {
  type        = string
  description = "Where the disk goes; the folder does not exist yet."
}

variable "pid_file" {
  type        = string
  description = "File for the process ID of what holds the disk, so that nothing is left if Packer is killed."
}
