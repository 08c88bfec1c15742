#!/bin/bash
# Proves that the programs of the runner image start where jobs run: in a container whose bounding set has no IPC_LOCK.
# Vault's packages give the file a capability of that name, and the kernel then refuses to start it at all there.
set -euo pipefail

toolbox=$(cd "$(dirname "$0")/.." && pwd)
ipc_lock=14 # its number in linux/capability.h
confined=()
if [ "$(id -u)" -eq 0 ]; then # while the image is built; a job's user cannot drop anything
  confined=(setpriv --bounding-set -ipc_lock)
elif (((0x$(awk '/^CapBnd/ {print $2}' /proc/self/status) >> ipc_lock) & 1)); then
  echo "note: this container may lock memory, so that one refusal cannot be seen here"
fi

failed=0
for program in "$toolbox"/.bakery/tools/bin/* "$toolbox/.venv/bin/bakery"; do
  if answer=$("${confined[@]}" "$program" --version 2>&1); then
    echo "ok      ${program##*/}: ${answer%%$'\n'*}"
  else
    echo "FAILED  ${program##*/}: ${answer%%$'\n'*}"
    failed=1
  fi
done
exit "$failed"
