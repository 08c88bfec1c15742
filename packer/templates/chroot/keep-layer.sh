#!/bin/sh
# keep-layer.sh FOLDER KEY: copies the disk as it is now. The variables are those of chroot.sh.
#
# The draft gets its name when it is complete, and the bakery moves it to the cache after the bake. It is not synced:
# after a power cut it may lack bytes, so the bakery removes the drafts of an earlier boot.
set -eu
draft="$1/$2" root="${root:?}"
# shellcheck disable=SC1091 # it is checked by itself
. "${0%/*}/esp.sh"
# shellcheck disable=SC1091
. "${0%/*}/written.sh"

# The bake itself needs the space that flattening its disk takes, and some to go on.
used="$(du --block-size=1 "$OUTPUT/disk.raw" | cut -f 1)"
free="$(df --block-size=1 --output=avail "$OUTPUT" | tail -n 1)"
[ "$free" -gt "$((4 * used))" ] || {
    echo "no layer is kept: the disk of this machine is nearly full"
    exit 0
}

[ -z "$ESP" ] || write_esp
require_written
# Frozen, the file system on the disk is complete and does not change while it is copied.
fsfreeze --freeze "$root"
trap 'fsfreeze --unfreeze "$root"' EXIT
qemu-img convert -f raw -O qcow2 "$OUTPUT/disk.raw" "$draft.part"
mv "$draft.part" "$draft.qcow2"
