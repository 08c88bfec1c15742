# Variables of this template beside those of common.pkr.hcl and ansible.pkr.hcl.

# Packer's environment brings these (PKR_VAR_client_id, …), never the file of variables. The plugin refuses to validate
# without a value; Azure refuses to build with these defaults.
variable "client_id" {
  type        = string
  description = "Application that builds."
  default     = "absent"
  sensitive   = true
}

variable "client_secret" {
  type        = string
  description = "Secret of that application."
  default     = "absent"
  sensitive   = true
}

variable "tenant" {
  type        = string
  description = "Directory of the application."
}

variable "subscription" {
  type        = string
  description = "Pays for the build, and holds the gallery."
}

variable "resource_group" {
  type        = string
  description = "Resource group of the gallery."
}

variable "gallery" {
  type        = string
  description = "Compute Gallery that gets the image."
}

variable "gallery_image" {
  type        = string
  description = "Image definition in the gallery; it must exist, since Packer creates none."
}

variable "regions" {
  type        = list(string)
  description = "Regions that can use the image; the first builds it."
}

variable "source_version" {
  type        = object({ image = string, version = string })
  description = "Gallery version of the parent image; both are empty if the base is a marketplace image."
}

variable "source_urn" {
  type        = string
  description = "Marketplace image PUBLISHER:OFFER:SKU:VERSION to start from; empty if the base is a parent image."
}

variable "vm_size" {
  type        = string
  description = "VM size of the build."
}

variable "virtual_network" {
  type        = object({ name = string, resource_group = string, subnet = string, public_address = bool })
  description = "Virtual network and subnet of the build; empty for one that Packer makes."
}

variable "access_from" {
  type        = list(string)
  description = "Addresses that may reach a build in a network that Packer makes."
}

variable "ssh_private_key" {
  type        = string
  description = "Private key of this bake; Azure puts the public key into the machine."
}

variable "ssh_timeout" {
  type        = string
  description = "Time that Packer gives the machine to answer on SSH."
}
