# Linux: Ansible over SSH.

build {
  source "amazon-ebs.image" {
    name        = "linux"
    ena_support = true

    # cloud-init installs a key of this bake: a key pair would stay in the account if Packer is killed.
    user_data = "#cloud-config\n${yamlencode({
      ssh_authorized_keys = [trimspace(file("${var.ssh_private_key}.pub"))]
      ssh_keys            = local.host_keys # the bake knows this key; the seal removes it
    })}"
    communicator         = "ssh"
    ssh_username         = var.user
    ssh_private_key_file = var.ssh_private_key
    ssh_timeout          = var.ssh_timeout
  }

  provisioner "ansible" {
    command                 = var.ansible_playbook
    playbook_file           = "${var.ansible_folder}/bake.yml"
    user                    = var.user
    host_alias              = "image"
    use_proxy               = false # it offers only ssh-rsa, which OpenSSH refuses, and it is slow
    skip_version_check      = true
    inventory_file_template = local.pinned_inventory
    ansible_env_vars        = concat(local.no_login, local.ansible_environment)
    extra_arguments         = ["--become", "--extra-vars", "@${var.ansible_vars}"]
  }

  post-processor "manifest" {
    output      = var.manifest
    custom_data = { image = var.image, version = var.version }
  }
}
