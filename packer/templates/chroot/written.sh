# shellcheck shell=sh disable=SC2154 # for chroot.sh and keep-layer.sh, which set `root`
#
# The kernel writes the file system to $OUTPUT/disk.raw later. If the disk of this machine is full then, the data is lost,
# and no program in the image sees an error. syncfs(2) reports the loss, but only once. The file $OUTPUT/whole remembers
# it: the file is there as long as nothing was lost. The loss stays hidden if a program in the image calls syncfs(2)
# itself and goes on after the error.

require_written() {
    sync --file-system "$root" || rm -f "$OUTPUT/whole"
    [ -e "$OUTPUT/whole" ] || { echo "error: not all that was written is on the disk" >&2; return 1; }
}
