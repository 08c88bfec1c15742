# The credentials of every target. It needs no secret of an image: tested disks have theirs already.
path "aws/sts/publish" {
  capabilities = ["read"]
}

path "azure/creds/bake" {
  capabilities = ["read"]
}

path "secret/data/bakery/targets/+" {
  capabilities = ["read"]
}

# The addresses of webhooks that get notices.
path "secret/data/bakery/notifications/+" {
  capabilities = ["read"]
}

# Its own signing key.
path "transit/sign/bakery-publish" {
  capabilities = ["update"]
}
