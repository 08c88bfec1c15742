# What this template gets beside common.pkr.hcl.

# These two come through Packer's environment (PKR_VAR_username, PKR_VAR_password), never in a file. `packer validate`
# runs without them, and the plugin takes no empty ones.
variable "username" {
  type        = string
  description = "Login of vCenter."
  default     = "nobody"
}

variable "password" {
  type        = string
  description = "Its password."
  default     = "none"
  sensitive   = true
}

variable "server" {
  type        = string
  description = "vCenter, HOST or HOST:PORT. Its certificate is verified."
}

variable "datacenter" {
  type        = string
  description = "Where the build is."
}

variable "cluster" {
  type        = string
  description = "Runs the build."
}

variable "datastore" {
  type        = string
  description = "Holds the disk of the build and the CD with the answers."
}

variable "folder" {
  type        = string
  description = "Of the machine while it is built; empty for the datacenter's own."
}

variable "network" {
  type        = string
  description = "Of the machine while it is built; empty for the one that the cloned machine has."
}

variable "library" {
  type        = string
  description = "Content library that gets the image."
}

variable "source_vm" {
  type        = string
  description = "Virtual machine or template to clone, if nothing is installed."
}

variable "iso" {
  type        = string
  description = "Installation medium as a datastore path, if nothing is cloned."
}

variable "answers" {
  type        = string
  description = "Folder with the installer's answers; each file is a template with name, user, password and public_key."
}

variable "answers_label" {
  type        = string
  description = "Label of the CD with the answers, by which an installer may know it."
}

variable "boot_command" {
  type        = list(string)
  description = "Keys to type after the start from the installation medium."
}

variable "guest_os" {
  type        = string
  description = "vSphere's identifier of the system that is installed."
}

variable "disk_mib" {
  type        = number
  description = "Size of the disk that is installed on."
}

variable "user" {
  type        = string
  description = "Login of the base; root, or may become root without a password."
}

variable "ssh_private_key" {
  type        = string
  description = "Key file made for this bake; the public half lies beside it."
}

variable "ssh_timeout" {
  type        = string
  description = "How long the machine may take to answer."
}

variable "secrets" {
  type        = map(object({ path = string, key = string }))
  description = "Where each secret is in Vault, by name. Roles find the value in the environment variable NAME."
}
