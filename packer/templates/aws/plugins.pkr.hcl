packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.8.2, < 2"
    }
    ansible = {
      source  = "github.com/hashicorp/ansible"
      version = ">= 1.1.2, < 2"
    }
  }
}

# Packer asks Vault. It hides each string of a sensitive local in its output, so these are the values and no more.
local "secrets" {
  expression = { for name, secret in var.secrets : upper(name) => vault(secret.path, secret.key) }
  sensitive  = true
}

locals {
  # One of ours by its ID, somebody else's by owner and name.
  filters = var.source_ami == "" ? [var.source_filter] : []
  # Each region has its own key behind the same alias; without one, snapshots stay as the base's are.
  region_keys = var.kms_alias == "" ? {} : { for region in var.copy_regions : region => var.kms_alias }
}
