# The secrets of the image that the job is for: its environment in GitLab is bakery/<image>.
path "secret/data/{{identity.entity.aliases.JWT_ACCESSOR.name}}" {
  capabilities = ["read"]
}

# Secrets that several images share.
path "secret/data/bakery/shared/+" {
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
path "secret/data/bakery/targets/aws-bake" {
  capabilities = ["read"]
}

path "secret/data/bakery/targets/azure" {
  capabilities = ["read"]
}

# The addresses of webhooks that get notices.
path "secret/data/bakery/notifications/+" {
  capabilities = ["read"]
}

# Its own signing key.
path "transit/sign/bakery-bake-public" {
  capabilities = ["update"]
}
