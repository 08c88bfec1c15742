# Windows: Ansible over WinRM with TLS, and the password that EC2 makes for the instance.

build {
  source "amazon-ebs.image" {
    name           = "windows"
    user_data_file = "${path.root}/windows/winrm.ps1"
    communicator   = "winrm"
    winrm_username = var.user
    winrm_use_ssl  = true
    winrm_insecure = true # the instance made the certificate a moment ago
    winrm_timeout  = "30m"
  }

  provisioner "ansible" {
    command                 = var.ansible_playbook
    playbook_file           = "${var.ansible_folder}/bake-windows.yml"
    user                    = var.user
    host_alias              = "image"
    use_proxy               = false
    skip_version_check      = true
    inventory_file_template = local.winrm_inventory
    # ansible/playbooks/bake-windows.yml reads the password from the environment.
    ansible_env_vars = concat(local.no_login, ["BUILD_PASSWORD=${build.Password}"], local.ansible_environment)
    extra_arguments  = concat(local.no_password_argument, ["--extra-vars", "@${var.ansible_vars}"])
  }

  # EC2Launch renews each machine's identity and password at its first start.
  provisioner "powershell" {
    inline = ["& 'C:/Program Files/Amazon/EC2Launch/EC2Launch.exe' sysprep --shutdown=false"]
  }

  provisioner "powershell" {
    script     = "${path.root}/windows/close-winrm.ps1"
    skip_clean = true # it needs another connection
  }

  post-processor "manifest" {
    output      = var.manifest
    custom_data = { image = var.image, version = var.version }
  }
}
