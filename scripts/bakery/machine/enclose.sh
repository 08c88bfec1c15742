#!/bin/sh
# Runs a command that sees no processes but its own, and so no login in the environment of another one:
# `enclose.sh COMMAND...`. Files and the network stay as they are. Fails if this machine allows no such namespaces. All of
# it ends with the command.
set -eu
user=
[ "$(id -u)" -eq 0 ] || user="--map-user=$(id -u)"
# The shell is the first process there, and waits for those that lost their parent.
exec unshare ${user:+"$user" "--map-group=$(id -g)"} --pid --fork --kill-child --mount-proc -- \
    sh -c '"$@"; exit "$?"' sh "$@"
