# Clones a machine or installs one from an ISO, provisions it with Ansible over SSH, and has vCenter put it into the
# content library as an OVF item. The machine goes away afterwards.

source "vsphere-clone" "linux" {
  vcenter_server = var.server
  username       = var.username
  password       = var.password
  datacenter     = var.datacenter
  cluster        = var.cluster
  datastore      = var.datastore
  folder         = var.folder
  vm_name        = local.machine

  template                 = var.source_vm
  network                  = var.network
  notes                    = var.description
  configuration_parameters = local.guestinfo

  ip_wait_timeout      = "10m"
  communicator         = "ssh"
  ssh_username         = var.user
  ssh_private_key_file = var.ssh_private_key
  ssh_password         = lookup(local.secrets, "BUILD_PASSWORD", "")
  ssh_timeout          = var.ssh_timeout

  content_library_destination {
    library     = var.library
    name        = var.artifact_name
    description = local.notes
    ovf         = true # deploys in every vCenter that subscribes to the library
    destroy     = true
  }
}

source "vsphere-iso" "linux" {
  vcenter_server = var.server
  username       = var.username
  password       = var.password
  datacenter     = var.datacenter
  cluster        = var.cluster
  datastore      = var.datastore
  folder         = var.folder
  vm_name        = local.machine

  guest_os_type        = var.guest_os
  notes                = var.description
  firmware             = "efi"
  CPUs                 = 2
  RAM                  = 4096 # installers load themselves into memory; Anaconda takes 3 GiB
  disk_controller_type = ["pvscsi"]
  storage {
    disk_size             = var.disk_mib
    disk_thin_provisioned = true
  }
  network_adapters {
    network      = var.network
    network_card = "vmxnet3"
  }

  # The answers lie on a CD: a build network need not reach the machine that Packer runs on.
  iso_paths    = [var.iso]
  cd_content   = local.answers
  cd_label     = var.answers_label
  remove_cdrom = true
  boot_order   = "disk,cdrom"
  boot_wait    = "5s" # boot menus wait at least as long
  boot_command = var.boot_command

  ip_wait_timeout      = "60m" # until the installed system has VMware's tools running
  communicator         = "ssh"
  ssh_username         = var.user
  ssh_private_key_file = var.ssh_private_key
  ssh_password         = lookup(local.secrets, "BUILD_PASSWORD", "")
  ssh_timeout          = var.ssh_timeout

  content_library_destination {
    library     = var.library
    name        = var.artifact_name
    description = local.notes
    ovf         = true
    destroy     = true
  }
}

build {
  sources = ["source.vsphere-clone.linux", "source.vsphere-iso.linux"]

  provisioner "ansible" {
    command       = var.ansible_playbook
    playbook_file = "${var.ansible_folder}/bake.yml"
    user          = var.user
    host_alias    = "image"
    # Its SSH proxy offers only ssh-rsa, which OpenSSH refuses, and is slow.
    use_proxy = false
    # Asking for the version takes as long as a task. Without it the plugin writes an inventory for Ansible 1.
    skip_version_check      = true
    inventory_file_template = "{{ .HostAlias }} ansible_host={{ .Host }} ansible_user={{ .User }} ansible_port={{ .Port }}\n"
    ansible_env_vars        = local.ansible_environment
    extra_arguments         = ["--become", "--extra-vars", "@${var.ansible_vars}"]
  }

  post-processor "manifest" {
    output      = var.manifest
    custom_data = { image = var.image, version = var.version, library = var.library, item = var.artifact_name }
  }
}
