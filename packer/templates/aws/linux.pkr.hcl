# Starts the base as an instance, provisions it with Ansible over SSH, makes an AMI, copies and shares it.

source "amazon-ebs" "linux" {
  region                     = var.region
  custom_endpoint_ec2        = var.endpoint
  skip_credential_validation = var.endpoint != ""
  skip_metadata_api_check    = true # credentials are told, never the runner's own role

  source_ami = var.source_ami
  dynamic "source_ami_filter" {
    for_each = local.filters
    content {
      filters     = { name = source_ami_filter.value.name, virtualization-type = "hvm", root-device-type = "ebs" }
      owners      = [source_ami_filter.value.owner]
      most_recent = true
    }
  }

  instance_type   = var.instance_type
  run_tags        = { for key, value in var.tags : key => value if key != "Name" }
  run_volume_tags = var.tags
  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
  }

  # A key of this bake by cloud-init: a key pair would stay in the account if Packer is killed.
  user_data = "#cloud-config\n${yamlencode({
    ssh_authorized_keys = [trimspace(file("${var.ssh_private_key}.pub"))]
    ssh_genkeytypes     = ["ed25519"]
  })}"
  communicator         = "ssh"
  ssh_username         = var.user
  ssh_private_key_file = var.ssh_private_key
  ssh_timeout          = var.ssh_timeout

  ami_name              = var.artifact_name
  ami_description       = var.description
  ami_regions           = var.copy_regions
  ami_users             = var.accounts
  snapshot_users        = var.accounts
  imds_support          = "v2.0"
  ena_support           = true
  encrypt_boot          = var.kms_alias == "" ? null : true
  kms_key_id            = var.kms_alias == "" ? null : var.kms_alias
  region_kms_key_ids    = local.region_keys
  tags                  = var.tags
  snapshot_tags         = var.tags
  force_deregister      = false # a version is never overwritten
  force_delete_snapshot = false

  # A first copy to a far region takes longer than Packer's own ten minutes.
  aws_polling {
    delay_seconds = 5
    max_attempts  = 1080
  }
}

build {
  sources = ["source.amazon-ebs.linux"]

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
    # The token ends here: a role gets the secrets of its definition and cannot ask for others.
    ansible_env_vars = concat(
      ["ANSIBLE_CONFIG=${var.ansible_folder}/ansible.cfg", "VAULT_TOKEN="],
      ["AWS_SECRET_ACCESS_KEY=", "AWS_SESSION_TOKEN=", "AWS_WEB_IDENTITY_TOKEN_FILE=", "AWS_CONTAINER_AUTHORIZATION_TOKEN="],
      [for name, value in local.secrets : "${name}=${value}"],
    )
    extra_arguments = ["--become", "--extra-vars", "@${var.ansible_vars}"]
  }

  post-processor "manifest" {
    output      = var.manifest
    custom_data = { image = var.image, version = var.version }
  }
}
