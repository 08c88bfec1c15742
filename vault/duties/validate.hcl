# The rights of every job: to look up its own token, query its capabilities, and revoke it. Roles leave out the default
# policy, which allows more.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}

path "sys/capabilities-self" {
  capabilities = ["update"]
}

# The public keys that check signatures. No signing key can be exported.
path "transit/keys/+" {
  capabilities = ["read"]
}
