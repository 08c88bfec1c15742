# What every job may: look at its own token, ask what it allows, and end it. Roles leave out the default policy, which
# allows more.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}

path "sys/capabilities-self" {
  capabilities = ["update"]
}
