# The same for Windows, from a disk that Sysprep has generalized: it reads unattend.xml from the CD at its first start,
# and lets Packer in over WinRM.

local "build_password" {
  expression = lookup(local.secrets, "BUILD_PASSWORD", "")
  sensitive  = true
}

source "qemu" "windows" {
  disk_image       = true
  use_backing_file = true
  iso_url          = var.base_disk
  iso_checksum     = "none" # verified when it was made
  disk_size        = "${var.disk_size}b"
  format           = "qcow2"
  skip_compaction  = true

  qemu_binary       = "${path.root}/qemu.sh"
  machine_type      = var.machine_type
  accelerator       = var.accelerator
  cpu_model         = var.cpu
  cpus              = var.cpus
  memory            = var.memory_mib
  efi_boot          = true
  efi_firmware_code = var.firmware_code
  efi_firmware_vars = var.firmware_vars

  # Windows knows neither virtio disks nor network cards unless their drivers are in the base.
  disk_interface     = "ide"
  disk_cache         = "unsafe"
  disk_discard       = "unmap"
  disk_detect_zeroes = "unmap"
  net_device         = "e1000"

  headless    = true
  disable_vnc = true
  qemuargs = [
    ["-vnc", "none"],
    ["-netdev", "user,id=user.0,hostfwd=tcp:127.0.0.1:{{ .SSHHostPort }}-:5986"],
    ["-device", "e1000,netdev=user.0"],
    ["-serial", "file:${var.serial_log}"],
    ["-pidfile", var.pid_file],
  ]

  cd_label = "unattend"
  cd_content = {
    # Packer removes the CD with its temporary folder, which is for this user alone.
    "unattend.xml" = templatefile("${path.root}/unattend.pkrtpl.xml", {
      password = replace(replace(local.build_password, "&", "&amp;"), "<", "&lt;")
    })
  }

  communicator     = "winrm"
  winrm_username   = "Administrator"
  winrm_password   = local.build_password
  winrm_use_ssl    = true
  winrm_insecure   = true # the guest made its certificate a moment ago, and is on this machine
  winrm_timeout    = "1h"
  shutdown_command = "C:\\Windows\\System32\\Sysprep\\sysprep.exe /generalize /oobe /shutdown /quiet"
  shutdown_timeout = "30m"

  output_directory = var.output_folder
  vm_name          = "disk.qcow2"
}

build {
  sources = ["source.qemu.windows"]

  provisioner "ansible" {
    command                 = var.ansible_playbook
    playbook_file           = "${var.ansible_folder}/bake-windows.yml"
    user                    = "Administrator"
    host_alias              = "image"
    use_proxy               = false
    skip_version_check      = true
    inventory_file_template = "{{ .HostAlias }} ansible_host={{ .Host }} ansible_user={{ .User }} ansible_port={{ .Port }} ansible_connection=winrm ansible_winrm_transport=ntlm ansible_winrm_server_cert_validation=ignore\n"
    ansible_env_vars = concat(
      ["ANSIBLE_CONFIG=${var.ansible_folder}/ansible.cfg", "VAULT_TOKEN="],
      [for name, value in local.secrets : "${name}=${value}"],
    )
    extra_arguments = ["--extra-vars", "@${var.ansible_vars}"]
  }

  post-processor "manifest" {
    output      = var.manifest
    custom_data = { image = var.image, version = var.version }
  }
}
