# What Terraform runs with. It reads image IDs and makes no images, so it gets no other target.
path "aws/sts/apply" {
  capabilities = ["read"]
}
