# `bakery bake` passes these to every template in a JSON file. Your own template gets the same and may declare fewer.

variable "image" {
  type        = string
  description = "Name of the image."
}

variable "version" {
  type        = string
  description = "Version that is being baked."
}

variable "artifact_name" {
  type        = string
  description = "Name of the image at its target: name-version-arch."
}

variable "description" {
  type        = string
  description = "Description of the image, for people."
}

variable "tags" {
  type        = map(string)
  description = "Tags of the image and its snapshots."
}

variable "manifest" {
  type        = string
  description = "File that the manifest post-processor writes."
}

variable "ansible_playbook" {
  type        = string
  description = "Path of ansible-playbook."
}

variable "ansible_folder" {
  type        = string
  description = "Folder with bake.yml, ansible.cfg and roles/."
}

variable "ansible_vars" {
  type        = string
  description = "JSON file with the definition's packages, roles, role variables and tests."
}
