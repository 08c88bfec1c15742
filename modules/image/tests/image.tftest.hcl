# Without a cloud: what the module asks for, and what it makes of the answers.

mock_provider "aws" {
  mock_data "aws_ssm_parameter" {
    defaults = {
      insecure_value = "ami-0123456789abcdef0"
      version        = 7
    }
  }

  mock_data "aws_ami" {
    defaults = {
      id               = "ami-0123456789abcdef0"
      name             = "web-1.4.7-x86_64"
      root_device_name = "/dev/xvda"
    }
  }
}

variables {
  image  = "web"
  owners = ["123456789012"]
}

run "follows_a_channel" {
  command = plan

  assert {
    condition     = output.parameter == "/bakery/web/x86_64/channels/stable"
    error_message = "It reads ${output.parameter}."
  }

  assert {
    condition     = output.image_id == "ami-0123456789abcdef0" && output.version == "1.4.7"
    error_message = "It found ${output.image_id}, version ${output.version}."
  }

  assert {
    condition     = output.parameter_version == 7 && output.root_device_name == "/dev/xvda"
    error_message = "The parameter's version and the root device are handed on."
  }
}

run "takes_null_for_the_default" {
  command = plan

  variables {
    arch    = null
    channel = null
  }

  assert {
    condition     = output.parameter == "/bakery/web/x86_64/channels/stable"
    error_message = "It reads ${output.parameter}."
  }
}

run "asks_for_the_image_that_the_parameter_holds" {
  command = plan

  assert {
    condition     = one(data.aws_ami.this.filter).values == toset(["ami-0123456789abcdef0"])
    error_message = "It looks for ${jsonencode(data.aws_ami.this.filter)}."
  }
}

run "asks_for_an_image_of_the_owners" {
  command = plan

  assert {
    condition     = data.aws_ami.this.owners == tolist(["123456789012"])
    error_message = "It looks for images of ${jsonencode(data.aws_ami.this.owners)}."
  }
}

run "refuses_to_accept_everybody" {
  command = plan

  variables {
    owners = []
  }

  expect_failures = [var.owners]
}

run "refuses_an_alias_of_others" {
  command = plan

  variables {
    owners = ["aws-marketplace"]
  }

  expect_failures = [var.owners]
}

run "follows_another_channel" {
  command = plan

  variables {
    channel = "testing"
  }

  assert {
    condition     = output.parameter == "/bakery/web/x86_64/channels/testing"
    error_message = "It reads ${output.parameter}."
  }
}

run "stays_with_a_version" {
  command = plan

  variables {
    pinned_version = "1.4.7"
    channel        = "testing"
  }

  assert {
    condition     = output.parameter == "/bakery/web/x86_64/1.4.7"
    error_message = "It reads ${output.parameter}."
  }
}

run "refuses_a_parameter_with_another_version" {
  command = plan

  variables {
    pinned_version = "1.4.6"
  }

  expect_failures = [data.aws_ami.this]
}

run "refuses_a_parameter_with_another_image" {
  command = plan

  variables {
    image = "api"
  }

  expect_failures = [data.aws_ami.this]
}

run "refuses_what_is_no_version" {
  command = plan

  variables {
    pinned_version = "1.4"
  }

  expect_failures = [var.pinned_version]
}

run "refuses_what_is_no_name" {
  command = plan

  variables {
    image = "Web"
  }

  expect_failures = [var.image]
}
