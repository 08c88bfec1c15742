data "terraform_remote_state" "images" {
  backend = "s3"
  config  = var.state
}

locals {
  known = data.terraform_remote_state.images.outputs.images[var.image][var.arch]
}

module "image" {
  source = "../../modules/image"

  image          = var.image
  owners         = [local.known.owner]
  arch           = var.arch
  channel        = local.known.channel
  pinned_version = var.follow ? null : local.known.version
}

resource "aws_launch_template" "this" {
  name_prefix            = "${var.image}-${var.arch}-"
  description            = "${var.image} ${module.image.version}"
  image_id               = module.image.image_id
  instance_type          = var.instance_type
  update_default_version = true

  # Without a key, EBS keeps the one that the image's snapshot is encrypted with.
  block_device_mappings {
    device_name = module.image.root_device_name

    ebs {
      encrypted             = true
      delete_on_termination = true
    }
  }

  metadata_options {
    http_tokens = "required"
  }
}

data "aws_subnets" "default" {
  count = length(var.subnet_ids) == 0 ? 1 : 0

  filter {
    name   = "default-for-az"
    values = ["true"]
  }
}

resource "aws_autoscaling_group" "this" {
  name_prefix         = "${var.image}-${var.arch}-"
  min_size            = var.size
  max_size            = var.size
  vpc_zone_identifier = length(var.subnet_ids) == 0 ? data.aws_subnets.default[0].ids : var.subnet_ids

  # By number: with "$Latest" a new image would reach single instances by chance, and no refresh would start.
  launch_template {
    id      = aws_launch_template.this.id
    version = aws_launch_template.this.latest_version
  }

  # New instances before old ones go; back to the last version of the template if they do not become healthy.
  instance_refresh {
    strategy = "Rolling"

    preferences {
      min_healthy_percentage = 100
      max_healthy_percentage = 200
      auto_rollback          = true
    }
  }

  dynamic "tag" {
    for_each = { Name = "${var.image}-${module.image.version}", "bakery:image" = var.image, "bakery:version" = module.image.version }

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }
}
