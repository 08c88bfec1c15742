#!/bin/sh
# Sets up Vault's AWS engine, with a role for builds, one for publishing and one for Terraform. Safe to run again. Set
# Vault's own login to AWS by hand: its key is a secret, and may have been rotated since.
set -eu

: "${BAKE_ROLE_ARN:?the role in AWS that builds images there: arn:aws:iam::123456789012:role/bakery-bake}"
: "${PUBLISH_ROLE_ARN:?the role in AWS that publishes: arn:aws:iam::123456789012:role/bakery-publish}"
: "${APPLY_ROLE_ARN:?the role in AWS that Terraform runs as: arn:aws:iam::123456789012:role/bakery-apply}"

if ! vault secrets list -format=json | grep -q '"aws/"'; then
    vault secrets enable aws
fi

# AWS limits a role that another role assumed to one hour, whatever the role's own maximum is.
assume() {
    vault write "aws/roles/$1" credential_type=assumed_role role_arns="$2" default_sts_ttl=1h max_sts_ttl=1h
}
assume bake "$BAKE_ROLE_ARN"
assume publish "$PUBLISH_ROLE_ARN"
assume apply "$APPLY_ROLE_ARN"
