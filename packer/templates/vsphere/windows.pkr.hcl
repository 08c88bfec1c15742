# Windows: Ansible over WinRM with TLS, and the password that Vault has for the base's user. No Sysprep: vSphere's guest
# customization runs it when a machine is deployed.

build {
  source "vsphere-clone.image" {
    name                     = "windows"
    configuration_parameters = local.build_mark

    ip_wait_timeout = "15m"
    communicator    = "winrm"
    winrm_username  = var.user
    winrm_password  = lookup(local.secrets, "BUILD_PASSWORD", "")
    winrm_use_ssl   = true
    winrm_insecure  = true # the machine made the certificate
    winrm_timeout   = "30m"
  }

  source "vsphere-iso.image" {
    name     = "windows"
    firmware = "efi-secure"
    # Windows Setup has drivers for this controller and this network card.
    disk_controller_type = ["lsilogic-sas"]
    network_adapters {
      network      = var.network
      network_card = "e1000e"
    }
    # Every ESXi host has the second medium. The answers install VMware's tools from it; without them nothing reports
    # the machine's address.
    iso_paths = [var.iso, "[] /vmimages/tools-isoimages/windows.iso"]

    ip_wait_timeout = "90m" # until the installed system has VMware's tools running
    communicator    = "winrm"
    winrm_username  = var.user
    winrm_password  = lookup(local.secrets, "BUILD_PASSWORD", "")
    winrm_use_ssl   = true
    winrm_insecure  = true
    winrm_timeout   = "30m"
  }

  provisioner "ansible" {
    command                 = var.ansible_playbook
    playbook_file           = "${var.ansible_folder}/bake-windows.yml"
    user                    = var.user
    host_alias              = "image"
    use_proxy               = false
    skip_version_check      = true
    inventory_file_template = local.winrm_inventory
    # The secret BUILD_PASSWORD is in it; ansible/playbooks/bake-windows.yml logs in with that.
    ansible_env_vars = concat(local.no_login, local.ansible_environment)
    extra_arguments  = concat(local.no_password_argument, ["--extra-vars", "@${var.ansible_vars}"])
  }

  provisioner "powershell" {
    script     = "${path.root}/windows/close-winrm.ps1"
    skip_clean = true # it needs another connection
  }

  post-processor "manifest" {
    output      = var.manifest
    custom_data = { image = var.image, version = var.version, library = var.library, item = var.artifact_name }
  }
}
