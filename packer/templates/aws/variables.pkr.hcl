# Variables of this template beside those of common.pkr.hcl and ansible.pkr.hcl. Packer's environment brings the
# credentials (AWS_ACCESS_KEY_ID, …).

variable "region" {
  type        = string
  description = "Region that builds and registers the image."
}

variable "copy_regions" {
  type        = list(string)
  description = "Regions that Packer copies the image to."
}

variable "accounts" {
  type        = list(string)
  description = "Accounts that may launch the image."
}

variable "kms_alias" {
  type        = string
  description = "Alias of the key that encrypts snapshots, the same in each region; empty for none."
}

variable "source_ami" {
  type        = string
  description = "AMI to start from: of the parent image, or the newest of another owner; empty only for `packer validate`."
}

variable "source_filter" {
  type        = object({ name = string, owner = string })
  description = "Owner and name of the AMI to look for where source_ami is empty."
}

variable "instance_type" {
  type        = string
  description = "Instance type of the build."
}

variable "user" {
  type        = string
  description = "Login of the base; may become root without a password."
}

variable "endpoint" {
  type        = string
  description = "URL of another EC2 endpoint; empty for AWS."
}

variable "ssh_private_key" {
  type        = string
  description = "Private key of this bake; the public key is beside it (.pub)."
}

variable "ssh_timeout" {
  type        = string
  description = "Time that Packer gives the machine to answer on SSH."
}
