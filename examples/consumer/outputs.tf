output "image_id" {
  description = "The AMI in use."
  value       = module.image.image_id
}

output "version" {
  description = "The version of the AMI in use."
  value       = module.image.version
}

output "parameter" {
  description = "The SSM parameter that it was read from, and the parameter's version."
  value       = "${module.image.parameter}:${module.image.parameter_version}"
}

output "launch_template" {
  description = "The launch template and its version."
  value       = "${aws_launch_template.this.id}:${aws_launch_template.this.latest_version}"
}

output "autoscaling_group" {
  description = "The Auto Scaling group that replaces its instances when the image changes."
  value       = aws_autoscaling_group.this.name
}
