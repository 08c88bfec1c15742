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

variable "layers_folder" {
  type        = string
  description = "Folder for the layers of this bake."
}

variable "layer_seconds" {
  type        = number
  description = "Work in seconds after which a layer is kept."
}
