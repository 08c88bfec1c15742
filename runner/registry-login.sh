#!/bin/bash
# Logs buildah in to the registry of BAKERY_RUNNER_REPOSITORY, with user and password from Vault or, if no Vault is set
# up, with those that GitLab gives to a job.
set -euo pipefail
# shellcheck source=/dev/null
. "$(dirname "$0")/vault.sh"

secret=secret/data/bakery/runner/registry
registry=${BAKERY_RUNNER_REPOSITORY%%/*}

log_in() { # log_in USER, with the password on standard input
  buildah login --username "$1" --password-stdin "$registry"
}

if [ -z "${VAULT_ADDR:-}" ]; then
  log_in "$CI_REGISTRY_USER" <<<"$CI_REGISTRY_PASSWORD"
  exit
fi

log_in_to_vault
answer=$(ask_as_us "$secret")
user=$(field username <<<"$answer")
password=$(field password <<<"$answer")
if [ -z "$user" ] || [ -z "$password" ]; then
  fail "$secret in Vault needs the keys username and password, both of them text"
fi
log_in "$user" <<<"$password"
