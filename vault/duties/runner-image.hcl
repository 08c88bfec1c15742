# The login of the registry that the runner image is pushed to. Neither bakery/+ nor bakery/targets/+, which other
# duties read, reaches it.
path "secret/data/bakery/runner/registry" {
  capabilities = ["read"]
}
