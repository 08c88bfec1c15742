# The login to the registry of the runner image, and the token that proposes its digest in a merge request. No other
# duty reads below runner/.
path "secret/data/bakery/runner/registry" {
  capabilities = ["read"]
}

path "secret/data/bakery/runner/proposal" {
  capabilities = ["read"]
}
