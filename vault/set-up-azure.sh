#!/bin/sh
# Sets up a role of Vault's Azure engine, whose client secrets live for an hour. Safe to run again. First set up the
# engine and its login to Azure by hand: Vault looks the application up when the role is written.
set -eu

: "${APPLICATION_OBJECT_ID:?the object ID of the application that bakes and publishes, not its client ID}"

# The same lifetime as the token of a job that bakes or publishes there. Without the third value, Azure would accept the
# secret for ten years if Vault could not remove it.
vault write azure/roles/bake application_object_id="$APPLICATION_OBJECT_ID" ttl=1h max_ttl=1h explicit_max_ttl=1h
