# shellcheck shell=sh disable=SC2154 # for chroot.sh and keep-layer.sh, which set `root`
#
# The EFI system partition of $OUTPUT/disk.raw, of which $root/boot/efi has a copy in memory, for the boot entry of a new
# kernel: not every kernel can mount FAT. $ESP is its offset in bytes.

read_esp() {
    mount -t tmpfs -o mode=700 tmpfs "$root/boot/efi"
    mcopy -s -m -i "$OUTPUT/disk.raw@@$ESP" '::*' "$root/boot/efi/"
    list_esp >"$OUTPUT/esp"
}

list_esp() {
    (cd "$root/boot/efi" && find . -type f -exec sha256sum {} + | sort -k 2)
}

# Writes the copy back if it changed.
write_esp() {
    list_esp | cmp -s - "$OUTPUT/esp" && return 0
    echo "Writing the EFI system partition"
    mdeltree -i "$OUTPUT/disk.raw@@$ESP" '::*'
    mcopy -s -m -i "$OUTPUT/disk.raw@@$ESP" "$root"/boot/efi/* ::
    list_esp >"$OUTPUT/esp"
}
