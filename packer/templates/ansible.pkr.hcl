# Variables and settings of every template with Packer's ansible provisioner; its folder links this file.

packer {
  required_plugins {
    ansible = {
      source  = "github.com/hashicorp/ansible"
      version = ">= 1.1.2, < 2"
    }
  }
}

variable "secrets" {
  type        = map(object({ path = string, key = string }))
  description = "Location of each secret in Vault, by name. Roles find the value in the environment variable NAME."
}

# Packer reads Vault. It hides each string of a sensitive local in its output, so this local holds the values alone.
local "secrets" {
  expression = { for name, secret in var.secrets : upper(name) => vault(secret.path, secret.key) }
  sensitive  = true
}

locals {
  # The provisioners skip the question for Ansible's version, which takes as long as a task. The plugin would then write
  # an inventory for Ansible 1.
  ssh_inventory   = "{{ .HostAlias }} ansible_host={{ .Host }} ansible_user={{ .User }} ansible_port={{ .Port }}\n"
  winrm_inventory = "${trimspace(local.ssh_inventory)} ansible_connection=winrm ansible_winrm_transport=ntlm ansible_winrm_server_cert_validation=ignore\n"

  # A role gets the secrets of its definition. It gets no token, so it cannot read others.
  ansible_environment = concat(
    ["ANSIBLE_CONFIG=${var.ansible_folder}/ansible.cfg", "VAULT_TOKEN="],
    [for name, value in local.secrets : "${name}=${value}"],
  )

  # Over WinRM the plugin would append `-e ansible_password=...`, and every user of this machine could read it. It does
  # not if a part of an argument, split at "=", has that name (plugin 1.1.2, checkArg).
  no_password_argument = ["--extra-vars", "bakery_password_variable=ansible_password"]
}
