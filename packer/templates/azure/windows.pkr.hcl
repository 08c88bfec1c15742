# Windows: Ansible over WinRM with TLS. Packer makes the certificate and hands it over in a key vault of its own.

build {
  source "azure-arm.image" {
    name           = "windows"
    os_type        = "Windows"
    communicator   = "winrm"
    winrm_username = "packer"
    winrm_use_ssl  = true
    winrm_insecure = true # Packer made the certificate a moment ago
    winrm_timeout  = "30m"
  }

  provisioner "ansible" {
    command                 = var.ansible_playbook
    playbook_file           = "${var.ansible_folder}/bake-windows.yml"
    user                    = "packer"
    host_alias              = "image"
    use_proxy               = false
    skip_version_check      = true
    inventory_file_template = local.winrm_inventory
    # ansible/playbooks/bake-windows.yml reads the password from the environment.
    ansible_env_vars = concat(local.no_login, ["BUILD_PASSWORD=${build.Password}"], local.ansible_environment)
    extra_arguments  = concat(local.no_password_argument, ["--extra-vars", "@${var.ansible_vars}"])
  }

  provisioner "powershell" {
    script = "${path.root}/windows/sysprep.ps1"
  }

  provisioner "powershell" {
    script     = "${path.root}/windows/close-winrm.ps1"
    skip_clean = true # it needs another connection
  }

  post-processor "manifest" {
    output      = var.manifest
    custom_data = { image = var.image, version = var.version, regions = join(",", var.regions) }
  }
}
