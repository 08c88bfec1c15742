# Clones a machine or installs one from an ISO, and has vCenter put it into the content library as an OVF item after
# Ansible. The machine goes away afterwards. linux.pkr.hcl and windows.pkr.hcl add how Packer logs in, and the
# provisioner.
#
# Packer's sources of two types share no block, so vsphere-clone and vsphere-iso both say where the machine is.

packer {
  required_plugins {
    vsphere = {
      source  = "github.com/hashicorp/vsphere"
      version = ">= 1.4.2, < 2"
    }
  }
}

# The files that the installer reads, from the definition's folder, with these four names filled in.
local "answers" {
  expression = var.answers == "" ? {} : {
    for name in fileset(var.answers, "**") : name => templatefile("${var.answers}/${name}", {
      name       = var.image
      user       = var.user
      password   = lookup(local.secrets, "BUILD_PASSWORD", "")
      public_key = trimspace(file("${var.ssh_private_key}.pub"))
    })
  }
  sensitive = true
}

locals {
  # A name of this run: the machine of a killed run stays, and must not block the next.
  machine = "${var.artifact_name}-${substr(uuidv4(), 0, 8)}"
  # In the form in which the publisher looks for tags (scripts/bakery/clouds/vsphere/notes.py).
  notes = "${var.description}\n\n${join("\n", [for key, value in var.tags : "${key}: ${value}"])}"
  # A setting of the machine alone, which the export into the library leaves out: `bakery sweep` looks for it.
  build_mark = { "bakery.build" = var.artifact_name }
  # Keeps Packer's own login from Ansible.
  no_login = ["PKR_VAR_password="]
  # An installed system makes its own host keys, and so does a base without cloud-init, into which Packer logs in with a
  # password. A machine that answers in its place learns that password, and what Ansible sends.
  host_key_known = var.iso == "" && !contains(keys(var.secrets), "build_password")
}

source "vsphere-clone" "image" {
  vcenter_server = var.server
  username       = var.username
  password       = var.password
  datacenter     = var.datacenter
  cluster        = var.cluster
  datastore      = var.datastore
  folder         = var.folder
  vm_name        = local.machine
  notes          = var.description

  template = var.source_vm
  network  = var.network

  content_library_destination {
    library     = var.library
    name        = var.artifact_name
    description = local.notes
    ovf         = true # deploys in every vCenter that subscribes to the library
    destroy     = true
  }
}

source "vsphere-iso" "image" {
  configuration_parameters = local.build_mark

  vcenter_server = var.server
  username       = var.username
  password       = var.password
  datacenter     = var.datacenter
  cluster        = var.cluster
  datastore      = var.datastore
  folder         = var.folder
  vm_name        = local.machine
  notes          = var.description

  guest_os_type = var.guest_os
  CPUs          = 2
  RAM           = 4096 # installers load themselves into memory; Anaconda takes 3 GiB
  storage {
    disk_size             = var.disk_mib
    disk_thin_provisioned = true
  }

  # The answers are on a CD, so the build network need not reach the machine that Packer runs on.
  cd_content   = local.answers
  cd_label     = var.answers_label
  remove_cdrom = true
  boot_order   = "disk,cdrom"
  boot_wait    = "5s" # boot menus wait at least as long
  boot_command = var.boot_command

  content_library_destination {
    library     = var.library
    name        = var.artifact_name
    description = local.notes
    ovf         = true
    destroy     = true
  }
}
