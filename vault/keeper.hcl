# The policy of people who operate Vault every day: they write secrets and read none, inspect the cluster, and rotate
# keys. vault/administrator.hcl decides the rights of jobs.
path "secret/data/bakery/*" {
  capabilities = ["create", "update", "patch"]
}

path "secret/delete/bakery/*" {
  capabilities = ["update"]
}

path "secret/undelete/bakery/*" {
  capabilities = ["update"]
}

path "secret/metadata/bakery/*" {
  capabilities = ["read", "list"]
}

path "sys/storage/raft/configuration" {
  capabilities = ["read"]
}

path "sys/storage/raft/autopilot/state" {
  capabilities = ["read"]
}

path "transit/keys/+/rotate" {
  capabilities = ["update"]
}

path "azure/rotate-root" {
  capabilities = ["create", "update"]
}
