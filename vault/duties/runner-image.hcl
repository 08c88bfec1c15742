# The login to the registry of the runner image. Other duties read bakery/+ and bakery/targets/+, which do not match it.
path "secret/data/bakery/runner/registry" {
  capabilities = ["read"]
}
