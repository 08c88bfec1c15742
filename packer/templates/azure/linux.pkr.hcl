# Starts the base in a resource group of its own, provisions it with Ansible over SSH, makes a gallery version of it.

source "azure-arm" "linux" {
  client_id       = var.client_id
  client_secret   = var.client_secret
  tenant_id       = var.tenant
  subscription_id = var.subscription

  os_type         = "Linux"
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

  communicator         = "ssh"
  ssh_username         = "packer"
  ssh_private_key_file = var.ssh_private_key
  ssh_timeout          = var.ssh_timeout

  # The machine's resources have the tags, too: what a killed Packer leaves can be told by them.
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
  # Replicas take 90 to 120 minutes at times; Packer's own hour ends while Azure goes on.
  shared_image_gallery_timeout = "3h"
  polling_duration_timeout     = "1h"
}

build {
  sources = ["source.azure-arm.linux"]

  provisioner "ansible" {
    command       = var.ansible_playbook
    playbook_file = "${var.ansible_folder}/bake.yml"
    user          = "packer"
    host_alias    = "image"
    # Its SSH proxy offers only ssh-rsa, which OpenSSH refuses, and is slow.
    use_proxy = false
    # Asking for the version takes as long as a task. Without it the plugin writes an inventory for Ansible 1.
    skip_version_check      = true
    inventory_file_template = "{{ .HostAlias }} ansible_host={{ .Host }} ansible_user={{ .User }} ansible_port={{ .Port }}\n"
    # The tokens end here: a role gets the secrets of its definition and cannot ask for others.
    ansible_env_vars = concat(
      ["ANSIBLE_CONFIG=${var.ansible_folder}/ansible.cfg", "VAULT_TOKEN=", "PKR_VAR_client_id=", "PKR_VAR_client_secret="],
      [for name, value in local.secrets : "${name}=${value}"],
    )
    # The seal that ends the playbook also takes out what Azure's agent wrote, and the login "packer".
    extra_arguments = ["--become", "--extra-vars", "@${var.ansible_vars}"]
  }

  post-processor "manifest" {
    output      = var.manifest
    custom_data = { image = var.image, version = var.version, regions = join(",", var.regions) }
  }
}
