# What `bakery bake` hands to every template in a JSON file. A template of your own gets the same and may declare fewer.

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
  description = "name-version-arch: what the image is called at its target."
}

variable "description" {
  type        = string
  description = "For people."
}

variable "tags" {
  type        = map(string)
  description = "For the image and what lies behind it."
}

variable "manifest" {
  type        = string
  description = "File for the manifest post-processor."
}

variable "ansible_playbook" {
  type        = string
  description = "The program."
}

variable "ansible_folder" {
  type        = string
  description = "Holds bake.yml and ansible.cfg; ANSIBLE_ROLES_PATH names the folders of roles."
}

variable "ansible_vars" {
  type        = string
  description = "JSON file with the definition's packages, roles, role variables and tests."
}
