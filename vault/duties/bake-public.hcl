# Secrets that go into images: one level, so that bakery/targets/ stays out of reach.
path "secret/data/bakery/+" {
  capabilities = ["read"]
}

# Credentials that Vault creates for one job.
path "aws/sts/bake" {
  capabilities = ["read"]
}

path "azure/creds/bake" {
  capabilities = ["read"]
}

# Static credentials, if Vault has no engine for the cloud.
path "secret/data/bakery/targets/aws" {
  capabilities = ["read"]
}

path "secret/data/bakery/targets/azure" {
  capabilities = ["read"]
}

# The addresses of webhooks that get notices.
path "secret/data/bakery/notifications/+" {
  capabilities = ["read"]
}
