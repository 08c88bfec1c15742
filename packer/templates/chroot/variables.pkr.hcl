# What `bakery bake` hands over in a JSON file; a template of your own gets the same and may declare fewer.

variable "image" {
  type        = string
  description = "Name of the image."
}

variable "version" {
  type        = string
  description = "Version that is being baked."
}

variable "base_disk" {
  type        = string
  description = "Disk to start from (qcow2); never written to."
}

variable "output_folder" {
  type        = string
  description = "Where the disk goes; the folder does not exist yet."
}

variable "manifest" {
  type        = string
  description = "File for the manifest post-processor."
}

variable "pid_file" {
  type        = string
  description = "File for the process ID of what holds the disk, so that nothing is left if Packer is killed."
}

variable "ansible_playbook" {
  type        = string
  description = "The program."
}

variable "ansible_folder" {
  type        = string
  description = "Holds bake.yml, ansible.cfg and roles/."
}

variable "ansible_vars" {
  type        = string
  description = "JSON file with the definition's packages, roles and role variables."
}
