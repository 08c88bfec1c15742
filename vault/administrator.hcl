# The policy that deploys the stack vault-config, for people and not for a pipeline. It reads no secret itself, but it is
# one step from everything: it writes policies, roles and the issuer that they trust, so it can make a login with any
# right below bakery-*. Guard its tokens like root's. It removes no engine and no login method: that needs a further right.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "sys/mounts" {
  capabilities = ["read"]
}

path "sys/mounts/+" {
  capabilities = ["create", "read", "update"]
}

path "sys/mounts/+/tune" {
  capabilities = ["read", "update"]
}

path "sys/auth" {
  capabilities = ["read"]
}

path "sys/auth/+" {
  capabilities = ["create", "read", "update", "sudo"]
}

path "sys/auth/+/tune" {
  capabilities = ["read", "update", "sudo"]
}

# The provider reads a login method here and not at sys/auth/+, which needs sudo.
path "sys/mounts/auth/+" {
  capabilities = ["read"]
}

path "sys/mounts/auth/+/tune" {
  capabilities = ["read", "update"]
}

path "sys/audit" {
  capabilities = ["read", "sudo"]
}

# delete: a changed device is replaced.
path "sys/audit/+" {
  capabilities = ["create", "update", "delete", "sudo"]
}

path "sys/policies/acl/bakery-*" {
  capabilities = ["create", "read", "update", "delete"]
}

path "auth/jwt/config" {
  capabilities = ["create", "read", "update"]
}

path "auth/jwt/role/bakery-*" {
  capabilities = ["create", "read", "update", "delete"]
}

path "auth/aws/config/client" {
  capabilities = ["create", "read", "update", "delete"]
}

path "auth/aws/role/bakery-snapshot" {
  capabilities = ["create", "read", "update", "delete"]
}

# Each key and its config.
path "transit/keys/bakery-*" {
  capabilities = ["create", "read", "update"]
}

path "aws/config/root" {
  capabilities = ["create", "read", "update"]
}

path "aws/roles/+" {
  capabilities = ["create", "read", "update", "delete"]
}

path "azure/config" {
  capabilities = ["create", "read", "update"]
}

path "azure/roles/+" {
  capabilities = ["create", "read", "update", "delete"]
}

path "sys/storage/raft/autopilot/configuration" {
  capabilities = ["create", "read", "update"]
}
