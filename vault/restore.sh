#!/bin/sh
# Bring a snapshot back into a new, empty cluster that has the seal key of the old one. VAULT_ADDR is the address of one of
# its servers. No token is needed, and none is left: those of the old cluster are good again afterwards.
set -eu

snapshot=${1:?the file of a snapshot}
WAIT_SECONDS=120 # data of some GB takes a minute to load

# A file that was cut off or changed stops here: its checksums are inside.
vault operator raft snapshot inspect "$snapshot" >/dev/null

# 2: it is new. A cluster in use would lose all that came after the snapshot.
state=0
vault operator init -status >/dev/null || state=$?
if [ "$state" -ne 2 ]; then
    echo "error: $VAULT_ADDR is not a new cluster; give its servers empty disks first" >&2
    exit 1
fi

# This token and recovery key are the new cluster's: nobody needs them once it has the old one's data.
VAULT_TOKEN=$(vault operator init -recovery-shares=1 -recovery-threshold=1 -format=json |
    sed -n 's/.*"root_token": "\([^"]*\)".*/\1/p')
export VAULT_TOKEN

# $1 is what to wait for, the rest a command.
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

leads() {
    vault operator raft list-peers 2>/dev/null | grep -q leader
}

# The old cluster's tokens are in force when this one is not.
is_restored() {
    vault token lookup 2>&1 | grep -q 'Code: 403'
}

wait_for "a leader" leads
# -force: the new cluster's own keys are others than those in the snapshot.
vault operator raft snapshot restore -force "$snapshot"
wait_for "the data" is_restored
echo "restored; log in as in the old cluster, and see that 'cdktf diff vault-config' shows no change"
