# Starts the base as an instance, makes an AMI of it after Ansible, copies and shares the AMI. linux.pkr.hcl and
# windows.pkr.hcl add how Packer logs in, and the provisioners.

packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.8.2, < 2"
    }
  }
}

locals {
  # The bakery gives the ID of an AMI. `packer validate` looks for none, and wants owner and name instead.
  filters = var.source_ami == "" ? [var.source_filter] : []
  # Each region has its own key behind the same alias. Without an alias, snapshots keep the encryption of the base.
  region_keys = var.kms_alias == "" ? {} : { for region in var.copy_regions : region => var.kms_alias }
  # Of the machine, its group, key pair and volume: `bakery sweep` looks for it when a killed Packer left them.
  build_tag = { "bakery:purpose" = "build" }
  # Keeps Packer's own login from Ansible.
  no_login = [
    "AWS_SECRET_ACCESS_KEY=",
    "AWS_SESSION_TOKEN=",
    "AWS_WEB_IDENTITY_TOKEN_FILE=",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN=",
  ]
}

source "amazon-ebs" "image" {
  region                     = var.region
  custom_endpoint_ec2        = var.endpoint
  skip_credential_validation = var.endpoint != ""
  skip_metadata_api_check    = true # Packer gets its credentials from the bakery, never from the runner's own role

  source_ami = var.source_ami
  dynamic "source_ami_filter" {
    for_each = local.filters
    content {
      filters     = { name = source_ami_filter.value.name, virtualization-type = "hvm", root-device-type = "ebs" }
      owners      = [source_ami_filter.value.owner]
      most_recent = true
    }
  }

  # Without a network of its own the build takes the default VPC. Only the addresses of access_from reach the machine, by
  # default the one that this machine has on the internet: the plugin would let in everybody.
  vpc_id    = var.vpc
  subnet_id = var.subnet
  dynamic "subnet_filter" {
    for_each = length(var.subnet_tags) == 0 ? [] : [var.subnet_tags]
    content {
      filters = { for key, value in subnet_filter.value : "tag:${key}" => value }
    }
  }
  security_group_ids                        = var.security_groups
  associate_public_ip_address               = var.public_address
  ssh_interface                             = var.session_manager ? "session_manager" : var.public_address == false ? "private_ip" : ""
  temporary_security_group_source_cidrs     = var.access_from
  temporary_security_group_source_public_ip = length(var.access_from) == 0
  iam_instance_profile                      = var.instance_profile

  instance_type   = var.instance_type
  run_tags        = merge({ for key, value in var.tags : key => value if key != "Name" }, local.build_tag)
  run_volume_tags = merge(var.tags, local.build_tag)
  # The image outlives the build.
  skip_ami_run_tags = true
  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
  }

  ami_name              = var.artifact_name
  ami_description       = var.description
  ami_regions           = var.copy_regions
  ami_users             = var.accounts
  snapshot_users        = var.accounts
  imds_support          = "v2.0"
  encrypt_boot          = var.kms_alias == "" ? null : true
  kms_key_id            = var.kms_alias == "" ? null : var.kms_alias
  region_kms_key_ids    = local.region_keys
  tags                  = var.tags
  snapshot_tags         = var.tags
  force_deregister      = false # a version is never overwritten
  force_delete_snapshot = false

  # A first copy to a far region takes longer than Packer's own ten minutes.
  aws_polling {
    delay_seconds = 5
    max_attempts  = 1080
  }
}
