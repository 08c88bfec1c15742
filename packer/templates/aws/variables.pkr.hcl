# What this template gets beside common.pkr.hcl. Credentials come through Packer's environment (AWS_ACCESS_KEY_ID, …).

variable "region" {
  type        = string
  description = "Where the image is built and registered."
}

variable "copy_regions" {
  type        = list(string)
  description = "Where Packer copies it to."
}

variable "accounts" {
  type        = list(string)
  description = "Accounts that may launch it."
}

variable "kms_alias" {
  type        = string
  description = "Key that snapshots are encrypted with, the same alias in each region; empty for none."
}

variable "source_ami" {
  type        = string
  description = "AMI to start from, if it is one of ours; else empty."
}

variable "source_filter" {
  type        = object({ name = string, owner = string })
  description = "The newest AMI of this owner with this name, where source_ami is empty."
}

variable "instance_type" {
  type        = string
  description = "What the build runs on."
}

variable "user" {
  type        = string
  description = "Login of the base; may become root without a password."
}

variable "endpoint" {
  type        = string
  description = "URL of a stand-in for EC2; empty for AWS."
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
