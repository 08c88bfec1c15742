# Linux: Ansible over SSH.

build {
  source "vsphere-clone.image" {
    name = "linux"
    # cloud-init's data source for VMware reads these; a base without cloud-init passes them over. They stay behind with
    # the machine: Packer's export into the library leaves such settings out.
    configuration_parameters = merge(local.build_mark, {
      "guestinfo.userdata.encoding" = "base64"
      "guestinfo.userdata" = base64encode(templatefile("${path.root}/linux/user-data.pkrtpl", {
        user       = var.user
        public_key = trimspace(file("${var.ssh_private_key}.pub"))
        host_keys  = local.host_keys
      }))
    })

    ip_wait_timeout      = "10m"
    communicator         = "ssh"
    ssh_username         = var.user
    ssh_private_key_file = var.ssh_private_key
    ssh_password         = lookup(local.secrets, "BUILD_PASSWORD", "")
    ssh_timeout          = var.ssh_timeout
  }

  source "vsphere-iso.image" {
    name                 = "linux"
    firmware             = "efi"
    disk_controller_type = ["pvscsi"]
    network_adapters {
      network      = var.network
      network_card = "vmxnet3"
    }
    iso_paths = [var.iso]

    ip_wait_timeout      = "60m" # until the installed system has VMware's tools running
    communicator         = "ssh"
    ssh_username         = var.user
    ssh_private_key_file = var.ssh_private_key
    ssh_password         = lookup(local.secrets, "BUILD_PASSWORD", "")
    ssh_timeout          = var.ssh_timeout
  }

  provisioner "ansible" {
    command                 = var.ansible_playbook
    playbook_file           = "${var.ansible_folder}/bake.yml"
    user                    = var.user
    host_alias              = "image"
    use_proxy               = false # it offers only ssh-rsa, which OpenSSH refuses, and it is slow
    skip_version_check      = true
    inventory_file_template = local.host_key_known ? local.pinned_inventory : "${local.inventory}\n"
    ansible_env_vars        = concat(local.no_login, local.ansible_environment)
    extra_arguments         = ["--become", "--extra-vars", "@${var.ansible_vars}"]
  }

  post-processor "manifest" {
    output      = var.manifest
    custom_data = { image = var.image, version = var.version, library = var.library, item = var.artifact_name }
  }
}
