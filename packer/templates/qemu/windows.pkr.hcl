# Windows: Ansible over WinRM with TLS. The base was generalized by Sysprep: it reads unattend.xml from the CD at its
# first start, and lets Packer in.

build {
  source "qemu.image" {
    name = "windows"
    # Windows knows neither virtio disks nor network cards unless their drivers are in the base.
    disk_interface = "ide"
    net_device     = "e1000"
    qemuargs = concat(local.qemuargs, [
      ["-netdev", "${local.forward}:5986"],
      ["-device", "e1000,netdev=user.0"],
    ])

    cd_label = "unattend"
    cd_content = {
      # Packer removes the CD with its temporary folder, which is for this user alone.
      "unattend.xml" = templatefile("${path.root}/windows/unattend.pkrtpl.xml", {
        password = replace(replace(lookup(local.secrets, "BUILD_PASSWORD", ""), "&", "&amp;"), "<", "&lt;")
      })
    }

    communicator   = "winrm"
    winrm_username = "Administrator"
    winrm_password = lookup(local.secrets, "BUILD_PASSWORD", "")
    winrm_use_ssl  = true
    winrm_insecure = true # the guest made its certificate a moment ago, and is on this machine
    winrm_timeout  = "1h"
    # The last command over WinRM does both.
    shutdown_command = "powershell -NoProfile -ExecutionPolicy Bypass -Command \"C:/Windows/Temp/close-winrm.ps1; C:/Windows/System32/Sysprep/sysprep.exe /generalize /oobe /shutdown /quiet\""
    shutdown_timeout = "30m"
  }

  provisioner "ansible" {
    command                 = var.ansible_playbook
    playbook_file           = "${var.ansible_folder}/bake-windows.yml"
    user                    = "Administrator"
    host_alias              = "image"
    use_proxy               = false
    skip_version_check      = true
    inventory_file_template = local.winrm_inventory
    # The secret BUILD_PASSWORD is in it; ansible/playbooks/bake-windows.yml logs in with that.
    ansible_env_vars = local.ansible_environment
    extra_arguments  = concat(local.no_password_argument, ["--extra-vars", "@${var.ansible_vars}"])
  }

  provisioner "file" {
    sources     = ["${path.root}/windows/close-winrm.ps1"]
    destination = "C:/Windows/Temp/close-winrm.ps1"
  }

  post-processor "manifest" {
    output      = var.manifest
    custom_data = { image = var.image, version = var.version }
  }
}
