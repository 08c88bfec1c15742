# Linux: Ansible over SSH. The seal that ends the playbook also removes the files of Azure's agent and the login
# "packer".

build {
  source "azure-arm.image" {
    name    = "linux"
    os_type = "Linux"
    # For cloud-init, which Azure's Linux images have: the bake knows this key, and the seal removes it.
    custom_data          = base64encode("#cloud-config\n${yamlencode({ ssh_keys = local.host_keys })}")
    communicator         = "ssh"
    ssh_username         = "packer"
    ssh_private_key_file = var.ssh_private_key
    ssh_timeout          = var.ssh_timeout
  }

  provisioner "ansible" {
    command                 = var.ansible_playbook
    playbook_file           = "${var.ansible_folder}/bake.yml"
    user                    = "packer"
    host_alias              = "image"
    use_proxy               = false # it offers only ssh-rsa, which OpenSSH refuses, and it is slow
    skip_version_check      = true
    inventory_file_template = local.pinned_inventory
    ansible_env_vars        = concat(local.no_login, local.ansible_environment)
    extra_arguments         = ["--become", "--extra-vars", "@${var.ansible_vars}"]
  }

  post-processor "manifest" {
    output      = var.manifest
    custom_data = { image = var.image, version = var.version, regions = join(",", var.regions) }
  }
}
