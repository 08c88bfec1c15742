# The same for Windows: WinRM over TLS with a certificate that Packer makes and hands over in a key vault of its own.

source "azure-arm" "windows" {
  client_id       = var.client_id
  client_secret   = var.client_secret
  tenant_id       = var.tenant
  subscription_id = var.subscription

  os_type         = "Windows"
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

  communicator   = "winrm"
  winrm_username = "packer"
  winrm_use_ssl  = true
  winrm_insecure = true # Packer made the certificate itself a moment ago
  winrm_timeout  = "30m"

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
  shared_image_gallery_timeout = "3h"
  polling_duration_timeout     = "1h"
}

build {
  sources = ["source.azure-arm.windows"]

  provisioner "ansible" {
    command                 = var.ansible_playbook
    playbook_file           = "${var.ansible_folder}/bake-windows.yml"
    user                    = "packer"
    host_alias              = "image"
    use_proxy               = false
    skip_version_check      = true
    inventory_file_template = "{{ .HostAlias }} ansible_host={{ .Host }} ansible_user={{ .User }} ansible_port={{ .Port }} ansible_connection=winrm ansible_winrm_transport=ntlm ansible_winrm_server_cert_validation=ignore\n"
    # The password goes through the environment, where ansible/playbooks/bake-windows.yml looks it up: never on a command line.
    ansible_env_vars = concat(
      ["ANSIBLE_CONFIG=${var.ansible_folder}/ansible.cfg", "VAULT_TOKEN=", "PKR_VAR_client_id=", "PKR_VAR_client_secret="],
      ["BUILD_PASSWORD=${build.Password}"],
      [for name, value in local.secrets : "${name}=${value}"],
    )
    extra_arguments = ["--extra-vars", "@${var.ansible_vars}"]
  }

  provisioner "powershell" {
    script = "${path.root}/sysprep.ps1"
  }

  post-processor "manifest" {
    output      = var.manifest
    custom_data = { image = var.image, version = var.version, regions = join(",", var.regions) }
  }
}
