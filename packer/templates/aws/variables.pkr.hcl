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

variable "vpc" {
  type        = string
  description = "VPC of the build; empty for that of the subnet, or the default one."
}

variable "subnet" {
  type        = string
  description = "Subnet of the build; empty for the one with subnet_tags, or one of the default VPC."
}

variable "subnet_tags" {
  type        = map(string)
  description = "Tags that exactly one subnet has, in place of its ID."
}

variable "security_groups" {
  type        = list(string)
  description = "Security groups of the build; without them Packer makes one for the time of the build."
}

variable "public_address" {
  type        = bool
  description = "Whether the build gets a public address; null leaves it to the subnet."
}

variable "session_manager" {
  type        = bool
  description = "Whether Packer logs in through AWS Session Manager."
}

variable "access_from" {
  type        = list(string)
  description = "Address blocks that may reach the build; empty for the address of this machine on the internet."
}

variable "instance_profile" {
  type        = string
  description = "Instance profile of the build; empty for none."
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
