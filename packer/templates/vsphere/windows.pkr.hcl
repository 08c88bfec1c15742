# The same for Windows: WinRM over TLS, and the password that Vault has for the base's user.

source "vsphere-clone" "windows" {
  vcenter_server = var.server
  username       = var.username
  password       = var.password
  datacenter     = var.datacenter
  cluster        = var.cluster
  datastore      = var.datastore
  folder         = var.folder
  vm_name        = local.machine

  template = var.source_vm
  network  = var.network
  notes    = var.description

  ip_wait_timeout = "15m"
  communicator    = "winrm"
  winrm_username  = var.user
  winrm_password  = lookup(local.secrets, "BUILD_PASSWORD", "")
  winrm_use_ssl   = true
  winrm_insecure  = true # the certificate was made by the machine
  winrm_timeout   = "30m"

  content_library_destination {
    library     = var.library
    name        = var.artifact_name
    description = local.notes
    ovf         = true
    destroy     = true
  }
}

source "vsphere-iso" "windows" {
  vcenter_server = var.server
  username       = var.username
  password       = var.password
  datacenter     = var.datacenter
  cluster        = var.cluster
  datastore      = var.datastore
  folder         = var.folder
  vm_name        = local.machine

  guest_os_type = var.guest_os
  notes         = var.description
  firmware      = "efi-secure"
  CPUs          = 2
  RAM           = 4096
  # Controller and network card are those that Windows Setup has drivers for.
  disk_controller_type = ["lsilogic-sas"]
  storage {
    disk_size             = var.disk_mib
    disk_thin_provisioned = true
  }
  network_adapters {
    network      = var.network
    network_card = "e1000e"
  }

  # The second medium is on every ESXi host; the answers install VMware's tools from it, without which nobody learns the IP.
  iso_paths    = [var.iso, "[] /vmimages/tools-isoimages/windows.iso"]
  cd_content   = local.answers
  cd_label     = var.answers_label
  remove_cdrom = true
  boot_order   = "disk,cdrom"
  boot_wait    = "5s"
  boot_command = var.boot_command

  ip_wait_timeout = "90m" # until the installed system has VMware's tools running
  communicator    = "winrm"
  winrm_username  = var.user
  winrm_password  = lookup(local.secrets, "BUILD_PASSWORD", "")
  winrm_use_ssl   = true
  winrm_insecure  = true
  winrm_timeout   = "30m"

  content_library_destination {
    library     = var.library
    name        = var.artifact_name
    description = local.notes
    ovf         = true
    destroy     = true
  }
}

# No Sysprep: vSphere's guest customization runs it when a machine is deployed.
build {
  sources = ["source.vsphere-clone.windows", "source.vsphere-iso.windows"]

  provisioner "ansible" {
    command                 = var.ansible_playbook
    playbook_file           = "${var.ansible_folder}/bake-windows.yml"
    user                    = var.user
    host_alias              = "image"
    use_proxy               = false
    skip_version_check      = true
    inventory_file_template = "{{ .HostAlias }} ansible_host={{ .Host }} ansible_user={{ .User }} ansible_port={{ .Port }} ansible_connection=winrm ansible_winrm_transport=ntlm ansible_winrm_server_cert_validation=ignore\n"
    # The password goes through the environment as BUILD_PASSWORD, where ansible/playbooks/bake-windows.yml looks it up.
    ansible_env_vars = local.ansible_environment
    extra_arguments  = ["--extra-vars", "@${var.ansible_vars}"]
  }

  post-processor "manifest" {
    output      = var.manifest
    custom_data = { image = var.image, version = var.version, library = var.library, item = var.artifact_name }
  }
}
