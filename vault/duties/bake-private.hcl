# The secrets of the image that the job is for: its environment in GitLab is bakery/<image>.
path "secret/data/{{identity.entity.aliases.JWT_ACCESSOR.name}}" {
  capabilities = ["read"]
}

# Secrets that several images share.
path "secret/data/bakery/shared/+" {
  capabilities = ["read"]
}

# The vCenter in which Packer builds.
path "secret/data/bakery/targets/vsphere" {
  capabilities = ["read"]
}

# The addresses of webhooks that get notices.
path "secret/data/bakery/notifications/+" {
  capabilities = ["read"]
}

# Its own signing key.
path "transit/sign/bakery-bake-private" {
  capabilities = ["update"]
}
