# Secrets that go into images: one level, so that bakery/targets/ stays out of reach.
path "secret/data/bakery/+" {
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
