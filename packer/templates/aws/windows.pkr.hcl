# The same for Windows: WinRM over TLS, and the password that EC2 makes for the instance.

source "amazon-ebs" "windows" {
  region                     = var.region
  custom_endpoint_ec2        = var.endpoint
  skip_credential_validation = var.endpoint != ""
  skip_metadata_api_check    = true

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

  user_data_file = "${path.root}/winrm.ps1"
  communicator   = "winrm"
  winrm_username = var.user
  winrm_use_ssl  = true
  winrm_insecure = true # the certificate was made by the instance a moment ago
  winrm_timeout  = "30m"

  ami_name              = var.artifact_name
  ami_description       = var.description
  ami_regions           = var.copy_regions
  ami_users             = var.accounts
  snapshot_users        = var.accounts
  imds_support          = "v2.0"
  encrypt_boot          = var.kms_alias == "" ? null : true
  kms_key_id            = var.kms_alias == "" ? null : var.kms_alias
  region_kms_key_ids    = local.region_keys
  tags                  = var.tags
  snapshot_tags         = var.tags
  force_deregister      = false
  force_delete_snapshot = false

  aws_polling {
    delay_seconds = 5
    max_attempts  = 1080
  }
}

build {
  sources = ["source.amazon-ebs.windows"]

  provisioner "ansible" {
    command                 = var.ansible_playbook
    playbook_file           = "${var.ansible_folder}/bake-windows.yml"
    user                    = var.user
    host_alias              = "image"
    use_proxy               = false
    skip_version_check      = true
    inventory_file_template = "{{ .HostAlias }} ansible_host={{ .Host }} ansible_user={{ .User }} ansible_port={{ .Port }} ansible_connection=winrm ansible_winrm_transport=ntlm ansible_winrm_server_cert_validation=ignore\n"
    # The password goes through the environment, where ansible/playbooks/bake-windows.yml looks it up: never on a command line.
    ansible_env_vars = concat(
      ["ANSIBLE_CONFIG=${var.ansible_folder}/ansible.cfg", "VAULT_TOKEN="],
      ["AWS_SECRET_ACCESS_KEY=", "AWS_SESSION_TOKEN=", "AWS_WEB_IDENTITY_TOKEN_FILE=", "AWS_CONTAINER_AUTHORIZATION_TOKEN="],
      ["BUILD_PASSWORD=${build.Password}"],
      [for name, value in local.secrets : "${name}=${value}"],
    )
    extra_arguments = ["--extra-vars", "@${var.ansible_vars}"]
  }

  # EC2Launch makes each machine's identity and password anew, and shuts down.
  provisioner "powershell" {
    inline = ["& 'C:/Program Files/Amazon/EC2Launch/EC2Launch.exe' sysprep --shutdown=false"]
  }

  post-processor "manifest" {
    output      = var.manifest
    custom_data = { image = var.image, version = var.version }
  }
}
