locals {
  path     = "/bakery/${var.image}/${var.arch}"
  name     = var.pinned_version == null ? "${local.path}/channels/${var.channel}" : "${local.path}/${var.pinned_version}"
  expected = var.pinned_version == null ? "\\d+\\.\\d+\\.\\d+" : replace(var.pinned_version, ".", "\\.")
}

# Read as data, and not by "resolve:ssm:" in a launch template: so a new image shows in the plan.
data "aws_ssm_parameter" "this" {
  name = local.name
}

# The owner is what proves an image: the name may be anybody's, and so may an ID that somebody wrote to the parameter.
data "aws_ami" "this" {
  owners = var.owners

  filter {
    name   = "image-id"
    values = [data.aws_ssm_parameter.this.insecure_value]
  }

  lifecycle {
    postcondition {
      condition     = can(regex("^${var.image}-${local.expected}-${var.arch}$", self.name))
      error_message = "${local.name} holds ${self.id}, but that image is called ${self.name}."
    }
  }
}

locals {
  # The version stands in the image's name, because AWS does not carry tags to other accounts.
  version = trimsuffix(trimprefix(data.aws_ami.this.name, "${var.image}-"), "-${var.arch}")
}
