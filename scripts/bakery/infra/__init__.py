"""Runs cdktf and Terraform in an environment of their own."""
