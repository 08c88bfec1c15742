packer {
  required_plugins {
    azure = {
      source  = "github.com/hashicorp/azure"
      version = ">= 1.4.5, < 2"
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
  # One of ours from the gallery, somebody else's from the marketplace.
  gallery_sources = var.source_version.image == "" ? [] : [var.source_version]
  marketplace     = var.source_urn == "" ? [null, null, null, null] : split(":", var.source_urn)
}
