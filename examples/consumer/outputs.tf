output "image_id" {
  description = "The AMI in use."
  value       = local.image_id
}

output "version" {
  description = "The version of the AMI in use."
  value       = local.version
}

output "launch_template" {
  description = "The launch template and its version, for instances and Auto Scaling groups."
  value       = "${aws_launch_template.this.id}:${aws_launch_template.this.latest_version}"
}
