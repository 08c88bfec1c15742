data "terraform_remote_state" "images" {
  backend = "s3"
  config  = var.state
}

locals {
  known = data.terraform_remote_state.images.outputs.images[var.image][var.arch]
  place = local.known.regions[var.region]
}

# Reading the parameter here, and not by "resolve:ssm:" in the template, shows a new image in the plan and makes a new
# version of the template for it.
data "aws_ssm_parameter" "channel" {
  count = var.follow ? 1 : 0
  name  = local.place.channel_parameter
}

# The version stands in the image's name, because AWS does not carry tags to other accounts.
data "aws_ami" "followed" {
  count = var.follow ? 1 : 0

  filter {
    name   = "image-id"
    values = [data.aws_ssm_parameter.channel[0].insecure_value]
  }
}

locals {
  image_id = var.follow ? data.aws_ami.followed[0].id : local.place.image_id
  version  = var.follow ? regex("-(\\d+\\.\\d+\\.\\d+)-", data.aws_ami.followed[0].name)[0] : local.known.version
}

resource "aws_launch_template" "this" {
  name                   = "${var.image}-${var.arch}"
  description            = "${var.image} ${local.version}"
  image_id               = local.image_id
  update_default_version = true

  metadata_options {
    http_tokens = "required"
  }
}
