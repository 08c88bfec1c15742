#!/bin/sh
# Have Vault make credentials of Azure: a role whose client secrets live for an hour. Safe to run again. The engine and
# how it logs in to Azure come first, by hand: Vault looks the application up when the role is written.
set -eu

: "${APPLICATION_OBJECT_ID:?the object ID of the application that bakes and publishes, not its client ID}"

# As long as the token of a job that bakes there or publishes. Without the third Azure would take the secret for ten
# years if Vault could not remove it.
vault write azure/roles/bake application_object_id="$APPLICATION_OBJECT_ID" ttl=1h max_ttl=1h explicit_max_ttl=1h
