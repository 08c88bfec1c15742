# Starts the base in a resource group of its own and makes a gallery version of it after Ansible. linux.pkr.hcl and
# windows.pkr.hcl add how Packer logs in, and the provisioners.

packer {
  required_plugins {
    azure = {
      source  = "github.com/hashicorp/azure"
      version = ">= 1.4.5, < 2"
    }
  }
}

locals {
  # Either a parent image from the gallery, or another publisher's image from the marketplace.
  gallery_sources = var.source_version.image == "" ? [] : [var.source_version]
  marketplace     = var.source_urn == "" ? [null, null, null, null] : split(":", var.source_urn)
  # Keeps Packer's own login from Ansible.
  no_login = ["PKR_VAR_client_id=", "PKR_VAR_client_secret="]
}

source "azure-arm" "image" {
  client_id       = var.client_id
  client_secret   = var.client_secret
  tenant_id       = var.tenant
  subscription_id = var.subscription

  location        = var.regions[0]
  vm_size         = var.vm_size
  image_publisher = local.marketplace[0]
  image_offer     = local.marketplace[1]
  image_sku       = local.marketplace[2]
  image_version   = local.marketplace[3]
  dynamic "shared_image_gallery" {
    for_each = local.gallery_sources
    content {
      subscription   = var.subscription
      resource_group = var.resource_group
      gallery_name   = var.gallery
      image_name     = shared_image_gallery.value.image
      image_version  = shared_image_gallery.value.version
    }
  }

  # Without a virtual network of its own the build gets one, which only the addresses of access_from reach.
  virtual_network_name                   = var.virtual_network.name
  virtual_network_resource_group_name    = var.virtual_network.resource_group
  virtual_network_subnet_name            = var.virtual_network.subnet
  private_virtual_network_with_public_ip = var.virtual_network.public_address
  allowed_inbound_ip_addresses           = var.access_from

  # The machine's resources have the tags, too: the tags identify what a killed Packer leaves behind.
  azure_tags = var.tags
  shared_image_gallery_destination {
    subscription         = var.subscription
    resource_group       = var.resource_group
    gallery_name         = var.gallery
    image_name           = var.gallery_image
    image_version        = var.version
    replication_regions  = var.regions
    storage_account_type = "Standard_LRS"
  }
  # Until the bakery has tested and published the version.
  shared_gallery_image_version_exclude_from_latest = true
  # Replicas take 90 to 120 minutes at times; Packer's own hour ends while Azure goes on.
  shared_image_gallery_timeout = "3h"
  polling_duration_timeout     = "1h"
}
