# Checksums of the stacks' providers, for linux_amd64. How to add a platform or a provider:
# docs/how-to/deploy-the-infrastructure.md
#
# Not locked: vmware/vsphere, hashicorp/azurerm and hashicorp/vault. Their packages could not be had to compute a checksum
# from, so Terraform refuses the stacks that need them until you add theirs.

provider "registry.terraform.io/hashicorp/aws" {
  version     = "5.100.0"
  constraints = "5.100.0"
  hashes = [
    "h1:edXOJWE4ORX8Fm+dpVpICzMZJat4AX0VRCAy/xkcOc0=",
  ]
}
