# The secrets of the image that the job is for, to search its disk for them: the job's environment in GitLab is
# bakery/<image>.
path "secret/data/{{identity.entity.aliases.JWT_ACCESSOR.name}}" {
  capabilities = ["read"]
}

# Secrets that several images share.
path "secret/data/bakery/shared/+" {
  capabilities = ["read"]
}

# The addresses of webhooks that get notices.
path "secret/data/bakery/notifications/+" {
  capabilities = ["read"]
}

# Its own signing key.
path "transit/sign/bakery-verify" {
  capabilities = ["update"]
}
