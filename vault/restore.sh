#!/bin/sh
# Restores a snapshot to a new cluster that has the seal key of the old one. Only one of its servers may run, with an
# empty disk, and VAULT_ADDR is its address: the snapshot does not list servers that joined before the restore, so they
# would leave for good. The script needs no token and leaves none: the tokens of the old cluster are valid again.
set -eu

snapshot=${1:?the file of a snapshot}
WAIT_SECONDS=180 # data of some GB takes a minute to load

# This refuses a truncated or changed file, which contains its own checksums.
vault operator raft snapshot inspect "$snapshot" >/dev/null

# wait_for WHAT COMMAND...
wait_for() {
    what=$1
    shift
    waited=0
    until "$@"; do
        waited=$((waited + 1))
        if [ "$waited" -gt "$WAIT_SECONDS" ]; then
            echo "error: waited $WAIT_SECONDS s for $what; look at Vault's own log" >&2
            exit 1
        fi
        sleep 1
    done
}

# 1: no answer, 2: sealed. `vault operator init -status` has one code for no answer and for no data.
answers() {
    code=0
    status=$(vault status -format=json 2>/dev/null) || code=$?
    [ "$code" -ne 1 ]
}

leads() {
    servers=$(vault operator raft list-peers 2>/dev/null) && echo "$servers" | grep -q ' leader '
}

# The old cluster's tokens are valid when this one is not.
is_restored() {
    vault token lookup 2>&1 | grep -q 'Code: 403'
}

wait_for "an answer" answers
# A cluster in use would lose all that was written after the snapshot.
if ! echo "$status" | grep -q '"initialized": false'; then
    echo "error: $VAULT_ADDR is not a new cluster: only a server with an empty disk is restored" >&2
    exit 1
fi

# This token and recovery key are the new cluster's: nobody needs them once it has the old one's data.
keys=$(vault operator init -recovery-shares=1 -recovery-threshold=1 -format=json)
VAULT_TOKEN=$(echo "$keys" | sed -n 's/.*"root_token": "\([^"]*\)".*/\1/p')
export VAULT_TOKEN

wait_for "a leader" leads
if echo "$servers" | grep -q ' follower '; then
    echo "error: other servers have joined: stop all but one, give it an empty disk, and begin again" >&2
    exit 1
fi
# -force: the new cluster's own keys are others than those in the snapshot.
vault operator raft snapshot restore -force "$snapshot"
wait_for "the data" is_restored
echo "restored: restart Vault on this server, then start the other servers"
