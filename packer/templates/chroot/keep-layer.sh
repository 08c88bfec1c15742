#!/bin/sh
# keep-layer.sh KEY UPGRADED: keeps the disk as it is now as a layer, if enough was done since the last one.
#
# It never fails a bake: without the layer, the next bake takes longer. The variables are those of chroot.sh. The draft
# gets its name when it is complete, and the bakery moves it to the cache after the bake.
set -eu
key="$1" upgraded="$2" root="${root:?}"
# shellcheck source=packer/templates/chroot/esp.sh
. "${0%/*}/esp.sh"

since="$(stat -c %Y "$LAYERS/since")"
[ "$(($(date +%s) - since))" -ge "$LAYER_SECONDS" ] || exit 0

# The bake itself needs the space that flattening its disk takes, and some to go on.
used="$(du --block-size=1 "$OUTPUT/disk.raw" | cut -f 1)"
free="$(df --block-size=1 --output=avail "$OUTPUT" | tail -n 1)"
[ "$free" -gt "$((4 * used))" ] || {
    echo "no layer is kept: the disk of this machine is nearly full"
    exit 0
}

# The address of each signed list that apt has, without a login, and its SHA-256.
list_archives() {
    # shellcheck disable=SC2016 # the inner shell expands it
    "${0%/*}/clean-chroot.sh" "$root" sh -eu -c '
        apt-get indextargets --format "\$(BASE_URI) \$(FILENAME) \$(METAKEY)" "Created-By: Packages" |
            while read -r address file index; do
                folder="${file%"$(echo "$index" | tr / _)"*}"
                for name in InRelease Release; do
                    [ -f "$folder$name" ] || continue
                    echo "$address$name $(sha256sum <"$folder$name" | cut -d " " -f 1)"
                    break
                done
            done'
}

keep() {
    draft="$LAYERS/$key"
    [ -z "$ESP" ] || write_esp
    list_archives | sed -E 's,^([a-z0-9+.-]+://)[^/@ ]*@,\1,' | sort -u >"$draft.archives"
    [ "$upgraded" = no ] || : >"$draft.upgraded"
    # Frozen, the file system on the disk is complete and does not change while it is copied.
    fsfreeze --freeze "$root"
    trap 'fsfreeze --unfreeze "$root"' EXIT
    qemu-img convert -f raw -O qcow2 "$OUTPUT/disk.raw" "$draft.part"
    sync "$draft.part"
    mv "$draft.part" "$draft.qcow2"
}

(keep) || {
    echo "the layer cannot be kept"
    rm -f "$LAYERS/$key".*
}
touch "$LAYERS/since"
