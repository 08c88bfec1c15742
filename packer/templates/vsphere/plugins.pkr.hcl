packer {
  required_plugins {
    vsphere = {
      source  = "github.com/hashicorp/vsphere"
      version = ">= 1.4.2, < 2"
    }
    ansible = {
      source  = "github.com/hashicorp/ansible"
      version = ">= 1.1.2, < 2"
    }
  }
}

# Packer asks Vault. It hides each string of a sensitive local in its output, so these are the values and no more.
local "secrets" {
  expression = { for name, secret in var.secrets : upper(name) => vault(secret.path, secret.key) }
  sensitive  = true
}

# What the installer reads: the files of the definition's folder, with these four names filled in.
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
  # A name of this run: the machine of one that was killed stays, and must not be in the way of the next.
  machine = "${var.artifact_name}-${substr(uuidv4(), 0, 8)}"
  # In the form in which the publisher looks for tags (scripts/bakery/publish/vsphere/notes.py).
  notes = "${var.description}\n\n${join("\n", [for key, value in var.tags : "${key}: ${value}"])}"

  # Only what gives us SSH, by cloud-init's data source for VMware; a base without cloud-init passes it over. These keys
  # of the machine stay behind: Packer's export into the library leaves such settings out.
  user_data = {
    disable_root         = false
    users                = [{ name = var.user, ssh_authorized_keys = [trimspace(file("${var.ssh_private_key}.pub"))] }]
    ssh_genkeytypes      = ["ed25519"]
    cloud_init_modules   = ["users-groups", "ssh"]
    cloud_config_modules = []
    cloud_final_modules  = []
  }
  guestinfo = {
    "guestinfo.userdata"          = base64encode("#cloud-config\n${yamlencode(local.user_data)}")
    "guestinfo.userdata.encoding" = "base64"
  }

  ansible_environment = concat(
    # What Packer logs in with ends here: a role gets the secrets of its definition and cannot ask for others.
    ["ANSIBLE_CONFIG=${var.ansible_folder}/ansible.cfg", "VAULT_TOKEN=", "PKR_VAR_password="],
    [for name, value in local.secrets : "${name}=${value}"],
  )
}
