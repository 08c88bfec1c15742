"""Infra: runs cdktf and Terraform, with an environment of their own."""
