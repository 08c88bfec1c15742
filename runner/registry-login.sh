#!/bin/bash
# Logs buildah in to the project's registry, with user and password from Vault or, if no Vault is set up, with those
# that GitLab gives to a job. This job builds the image that contains the bakery, so it has only curl.
set -euo pipefail

secret=secret/data/bakery/runner/registry

fail() {
  echo "error: $1" >&2
  exit 1
}

log_in() { # log_in USER, with the password on standard input
  buildah login --username "$1" --password-stdin "$CI_REGISTRY"
}

# ask PATH ARGUMENT...: Vault's answer at an API path. Secrets reach curl by its standard input or another pipe,
# because everybody on the machine can read arguments.
ask() {
  local path=$1 answer
  shift
  answer=$(curl --silent --show-error --fail-with-body --max-time 15 --retry 3 --retry-connrefused \
    ${VAULT_CACERT:+--cacert "$VAULT_CACERT"} ${VAULT_NAMESPACE:+--header "X-Vault-Namespace: $VAULT_NAMESPACE"} \
    "$@" "${VAULT_ADDR%/}/v1/$path") || fail "Vault at $VAULT_ADDR does not give $path: $answer"
  printf '%s\n' "$answer"
}

ask_as_us() {
  ask "$@" --header @<(printf 'X-Vault-Token: %s\n' "$token")
}

field() { # field NAME: the text of that key, out of the JSON of Vault on standard input
  local text
  text=$(sed -nE "s/.*\"$1\":\"(([^\"\\]|\\\\.)*)\".*/\1/p" | sed 's/\\"/\\x22/g')
  printf '%b' "$text"
}

if [ -z "${VAULT_ADDR:-}" ]; then
  log_in "$CI_REGISTRY_USER" <<<"$CI_REGISTRY_PASSWORD"
  exit
fi

case $VAULT_ADDR in
  https://* | http://127.* | http://localhost | http://localhost[:/]* | 'http://[::1]'*) ;;
  *) fail "VAULT_ADDR '$VAULT_ADDR' is not encrypted: write https://${VAULT_ADDR#http://}" ;;
esac

answer=$(printf '{"role": "%s", "jwt": "%s"}' "$VAULT_ROLE" "$VAULT_ID_TOKEN" |
  ask "auth/${VAULT_JWT_MOUNT:-jwt}/login" --data @-)
token=$(field client_token <<<"$answer")
# If that fails, the token expires by itself. It must not hide the error that ended the script.
trap '(ask_as_us auth/token/revoke-self --request POST >/dev/null) || true' EXIT

answer=$(ask_as_us "$secret")
user=$(field username <<<"$answer")
password=$(field password <<<"$answer")
if [ -z "$user" ] || [ -z "$password" ]; then
  fail "$secret in Vault needs the keys username and password, both of them text"
fi
log_in "$user" <<<"$password"
