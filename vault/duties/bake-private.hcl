# Secrets that go into images: one level, so that bakery/targets/ stays out of reach.
path "secret/data/bakery/+" {
  capabilities = ["read"]
}

# The vCenter in which Packer builds.
path "secret/data/bakery/targets/vsphere" {
  capabilities = ["read"]
}

# Webhooks that hear what happens to images.
path "secret/data/bakery/notifications/+" {
  capabilities = ["read"]
}
