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
  description = "Location of each secret in Vault, by name, for templates that ask Vault themselves."
}

# Packer's environment brings the values (PKR_VAR_secret_values), never the file of variables. `packer validate` has none.
variable "secret_values" {
  type        = string
  description = "JSON object with the value of each secret by NAME. Roles find it in the environment variable NAME."
  default     = "{}"
  sensitive   = true
}

variable "ssh_host_key" {
  type        = string
  description = "Private host key of the machine of this bake, which has it from its first start; the public key is beside it (.pub)."
}

variable "ssh_known_hosts" {
  type        = string
  description = "File known_hosts with that key, under the name image."
}

# Packer hides each string of a sensitive local in its output, so this local holds the values alone.
local "secrets" {
  expression = jsondecode(var.secret_values)
  sensitive  = true
}

# In the form of cloud-init's module ssh.
local "host_keys" {
  expression = {
    ed25519_private = file(var.ssh_host_key)
    ed25519_public  = trimspace(file("${var.ssh_host_key}.pub"))
  }
  sensitive = true
}

locals {
  # The provisioners skip the question for Ansible's version, which takes as long as a task. The plugin would then write
  # an inventory for Ansible 1.
  inventory       = "{{ .HostAlias }} ansible_host={{ .Host }} ansible_user={{ .User }} ansible_port={{ .Port }}"
  winrm_inventory = "${local.inventory} ansible_connection=winrm ansible_winrm_transport=ntlm ansible_winrm_server_cert_validation=ignore\n"

  # Ansible talks to the machine that has the host key of this bake, and to no other. Packer itself cannot check host
  # keys. It logs in with a key pair and sends no secret, so a machine that answers in its place learns nothing.
  pinned_inventory = join(" ", [
    local.inventory,
    "bakery_known_hosts=${var.ssh_known_hosts}",
    "ansible_ssh_host_key_checking=true",
    "mitogen_task_isolation=fork", # of Mitogen's strategy: libraries such as apt's read their settings once in a process
    "ansible_ssh_args='-o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=15 -o ServerAliveCountMax=4 -o StrictHostKeyChecking=yes -o HostKeyAlias=image -o UserKnownHostsFile=${var.ssh_known_hosts} -o GlobalKnownHostsFile=/dev/null'\n",
  ])

  # A role gets the secrets of its definition. Neither Packer nor Ansible has a token of Vault. What a task on the machine
  # that bakes reaches is in docs/explanation/decisions/0005-secrets.md.
  ansible_environment = concat(
    ["ANSIBLE_CONFIG=${var.ansible_folder}/ansible.cfg", "VAULT_TOKEN=", "PKR_VAR_secret_values="],
    [for name, value in local.secrets : "${name}=${value}"],
  )

  # Over WinRM the plugin would append `-e ansible_password=...`, and every user of this machine could read it. It does
  # not if a part of an argument, split at "=", has that name (plugin 1.1.2, checkArg).
  no_password_argument = ["--extra-vars", "bakery_password_variable=ansible_password"]
}
