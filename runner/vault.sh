#!/bin/bash
# Sourced by scripts of the job that builds the runner image: reads secrets of Vault with curl. The image of that job
# has no bakery. Secrets reach curl by its standard input or another pipe, because everybody on the machine can read
# arguments.

fail() {
  echo "error: $1" >&2
  exit 1
}

# ask PATH ARGUMENT...: Vault's answer at an API path.
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

# Logs in for this script, and revokes the token at its end.
log_in_to_vault() {
  local answer
  local here='http://(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]+)?(/|$)' # traffic that stays on this machine
  if ! [[ $VAULT_ADDR =~ ^(https://|$here) ]]; then
    fail "VAULT_ADDR '$VAULT_ADDR' is not encrypted: write https://${VAULT_ADDR#http://}"
  fi
  answer=$(printf '{"role": "bakery-runner-image", "jwt": "%s"}' "$VAULT_ID_TOKEN" |
    ask "auth/${VAULT_JWT_MOUNT:-jwt}/login" --data @-)
  token=$(field client_token <<<"$answer")
  # If that fails, the token expires by itself. It must not hide the error that ended the script.
  trap '(ask_as_us auth/token/revoke-self --request POST >/dev/null) || true' EXIT
}
