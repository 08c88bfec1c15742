# What the machines may that take snapshots of the cluster: a snapshot has everything in it, encrypted by the seal.
path "sys/storage/raft/snapshot" {
  capabilities = ["read"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
