# Variables of this template beside those of common.pkr.hcl and ansible.pkr.hcl.

# Packer's environment brings these two (PKR_VAR_username, PKR_VAR_password), never a file. `packer validate`
# runs without them, and the plugin takes no empty ones.
variable "username" {
  type        = string
  description = "Login of vCenter."
  default     = "nobody"
}

variable "password" {
  type        = string
  description = "Password of that login."
  default     = "none"
  sensitive   = true
}

variable "server" {
  type        = string
  description = "vCenter, HOST or HOST:PORT. Its certificate is verified."
}

variable "datacenter" {
  type        = string
  description = "Datacenter of the build."
}

variable "cluster" {
  type        = string
  description = "Cluster that runs the build."
}

variable "datastore" {
  type        = string
  description = "Datastore for the disk of the build and the CD with the answers."
}

variable "folder" {
  type        = string
  description = "Folder of the machine while it is built; empty for the datacenter's root folder."
}

variable "network" {
  type        = string
  description = "Network of the machine while it is built; empty for that of the cloned machine."
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
  description = "Size of the disk to install on."
}

variable "user" {
  type        = string
  description = "Login of the base; root, or may become root without a password."
}

variable "ssh_private_key" {
  type        = string
  description = "Private key of this bake; the public key is beside it (.pub)."
}

variable "ssh_timeout" {
  type        = string
  description = "Time that Packer gives the machine to answer on SSH."
}
