# Terraform reads image IDs and makes no images, so it gets credentials of no other target.
path "aws/sts/apply" {
  capabilities = ["read"]
}
