#!/bin/sh
# Let GitLab's jobs log in to Vault and sign: the JWT method, for each duty a policy and a role, and a key for each duty
# that signs. Safe to run again.
set -eu

: "${GITLAB_URL:?the address of GitLab, as its tokens name their issuer: https://gitlab.example.com}"
: "${PROJECT_ID:?the number of the project that may log in}"
: "${AUDIENCE:?what aud of the jobs begins with, before /DUTY: the address of Vault is usual}"
mount=${VAULT_JWT_MOUNT:-jwt}
here=$(dirname "$0")

if ! vault auth list -format=json | grep -q "\"$mount/\""; then
    vault auth enable -path="$mount" jwt
fi
vault write "auth/$mount/config" oidc_discovery_url="$GITLAB_URL" bound_issuer="$GITLAB_URL"

# A policy names the method by its accessor, to read the environment of a job.
accessor=$(vault read -field=accessor "sys/auth/$mount")

for duty in validate bake-private bake-public verify publish apply runner-image; do
    sed "s|JWT_ACCESSOR|$accessor|" "$here/duties/$duty.hcl" | vault policy write "bakery-$duty" -
    sed -e "s|PROJECT_ID|$PROJECT_ID|" -e "s|AUDIENCE|$AUDIENCE|" "$here/duties/$duty.json" |
        vault write "auth/$mount/role/bakery-$duty" -
done

if ! vault secrets list -format=json | grep -q '"transit/"'; then
    vault secrets enable transit
fi
for duty in bake-private bake-public verify publish; do
    vault write "transit/keys/bakery-$duty" type=ed25519 # changes nothing about a key that is there
done
