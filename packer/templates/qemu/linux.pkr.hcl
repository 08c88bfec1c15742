# Linux: Ansible over SSH, as root: that needs no sudo and leaves no user to remove.

build {
  source "qemu.image" {
    name           = "linux"
    disk_interface = "virtio"
    net_device     = "virtio-net"
    qemuargs = concat(local.qemuargs, [
      ["-netdev", "${local.forward}:22"],
      ["-device", "virtio-net,netdev=user.0"],
      ["-object", "rng-random,id=rng0,filename=/dev/urandom"],
      ["-device", "virtio-rng-pci,rng=rng0"],
      # A full disk on the host fails the guest's write; QEMU would pause the guest indefinitely.
      ["-global", "virtio-blk-pci.werror=report"],
    ])

    # Goes to an IDE drive, which machine type pc has and Debian's cloud kernel knows; of q35 it sees no CD at all.
    cd_label = "cidata"
    cd_content = {
      # Another one in each bake, also of one version: cloud-init installs keys once for an instance, and a layer has those
      # of the bake that made it.
      "meta-data" = yamlencode({ instance-id = substr(sha256(file("${var.ssh_private_key}.pub")), 0, 32) })
      "user-data" = templatefile("${path.root}/linux/user-data.pkrtpl", {
        user       = "root"
        public_key = trimspace(file("${var.ssh_private_key}.pub"))
        host_keys  = local.host_keys
      })
      # The same keys for a guest that goes on from a saved boot (linux/wake.py).
      "authorized_keys"          = trimspace(file("${var.ssh_private_key}.pub"))
      "ssh_host_ed25519_key"     = file(var.ssh_host_key)
      "ssh_host_ed25519_key.pub" = file("${var.ssh_host_key}.pub")
    }

    communicator         = "ssh"
    ssh_username         = "root"
    ssh_private_key_file = var.ssh_private_key
    ssh_timeout          = var.ssh_timeout
    # Forced: services are killed, not stopped, so none writes to the sealed disk; file systems are unmounted as always.
    shutdown_command = "systemctl poweroff --force"
    shutdown_timeout = "5m"
  }

  provisioner "ansible" {
    command                 = var.ansible_playbook
    playbook_file           = "${var.ansible_folder}/bake.yml"
    user                    = "root"
    host_alias              = "image"
    use_proxy               = false # it offers only ssh-rsa, which OpenSSH refuses, and it is slow
    skip_version_check      = true
    inventory_file_template = local.pinned_inventory
    # One interpreter in the guest serves all tasks: to start one for each costs 2 s without acceleration.
    ansible_env_vars = concat(local.ansible_environment, [
      "ANSIBLE_STRATEGY=mitogen_linear",
      "ANSIBLE_STRATEGY_PLUGINS=${var.strategy_plugins}",
    ])
    extra_arguments = ["--extra-vars", "@${var.ansible_vars}"]
  }

  post-processor "manifest" {
    output      = var.manifest
    custom_data = { image = var.image, version = var.version }
  }
}
