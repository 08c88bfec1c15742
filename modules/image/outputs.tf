output "image_id" {
  description = "ID of the AMI in the provider's region."
  value       = data.aws_ami.this.id
}

output "version" {
  description = "Version of the AMI."
  value       = local.version
}

output "root_device_name" {
  description = "Name of the AMI's root device, for block device mappings."
  value       = data.aws_ami.this.root_device_name
}

output "parameter" {
  description = "Name of the SSM parameter that was read."
  value       = data.aws_ssm_parameter.this.name
}

output "parameter_version" {
  description = "Version of that parameter: it grows when a channel moves, even to the same image and back."
  value       = data.aws_ssm_parameter.this.version
}
