# What this template gets beside common.pkr.hcl.

# Through Packer's environment (PKR_VAR_client_id, …), never in the file of variables. The plugin refuses to validate
# without a value; Azure refuses to build with these.
variable "client_id" {
  type        = string
  description = "Application that builds."
  default     = "absent"
  sensitive   = true
}

variable "client_secret" {
  type        = string
  description = "Its secret."
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
  description = "Where the gallery is."
}

variable "gallery" {
  type        = string
  description = "Compute Gallery that gets the image."
}

variable "gallery_image" {
  type        = string
  description = "Its image definition, which has to be there: Packer makes none."
}

variable "regions" {
  type        = list(string)
  description = "Where the image can be used; it is built in the first."
}

variable "source_version" {
  type        = object({ image = string, version = string })
  description = "What to start from if it is one of ours in the same gallery; else both are empty."
}

variable "source_urn" {
  type        = string
  description = "Marketplace image PUBLISHER:OFFER:SKU:VERSION to start from; empty if it is one of ours."
}

variable "vm_size" {
  type        = string
  description = "What the build runs on."
}

variable "ssh_private_key" {
  type        = string
  description = "Key file made for this bake; Azure puts the public half into the machine."
}

variable "ssh_timeout" {
  type        = string
  description = "How long the machine may take to answer."
}

variable "secrets" {
  type        = map(object({ path = string, key = string }))
  description = "Where each secret is in Vault, by name. Roles find the value in the environment variable NAME."
}
