#!/bin/sh
# Let GitLab's jobs log in to Vault: the JWT method, and for each duty a policy and a role. Safe to run again.
set -eu

: "${GITLAB_URL:?the address of GitLab, as its tokens name their issuer: https://gitlab.example.com}"
: "${PROJECT_ID:?the number of the project that may log in}"
: "${AUDIENCE:?what jobs put into aud: the address of Vault is usual}"
mount=${VAULT_JWT_MOUNT:-jwt}
here=$(dirname "$0")

if ! vault auth list -format=json | grep -q "\"$mount/\""; then
    vault auth enable -path="$mount" jwt
fi
vault write "auth/$mount/config" oidc_discovery_url="$GITLAB_URL" bound_issuer="$GITLAB_URL"

for duty in validate bake-private bake-public publish apply runner-image; do
    vault policy write "bakery-$duty" "$here/duties/$duty.hcl"
    sed -e "s|PROJECT_ID|$PROJECT_ID|" -e "s|AUDIENCE|$AUDIENCE|" "$here/duties/$duty.json" |
        vault write "auth/$mount/role/bakery-$duty" -
done
