#!/bin/sh
# Copies the base to $OUTPUT/disk.raw, attaches it, runs Ansible in it and detaches it.
#
# The script runs in its own namespaces. When it ends, however it ends, the kernel stops the processes in the chroot,
# removes the mounts and frees the loop device. Nothing needs a clean-up by hand.
set -eu
# shellcheck disable=SC1091 # it is checked by itself
. "$FOLDER/esp.sh"
# shellcheck disable=SC1091
. "$FOLDER/written.sh"

if [ "$$" -ne 1 ]; then # not yet the first process of its own namespace
    echo "$$" >"$PID_FILE"
    exec unshare --mount --propagation private --pid --fork --kill-child --mount-proc --uts --ipc -- "$0"
fi

# GUIDs of a root partition (x86-64) and of the older "Linux filesystem", from the Discoverable Partitions Specification.
root_types='4f68bce3-e8cd-4db1-96e7-fbcaf984b709|0fc63daf-8483-4772-8e79-3d69d8477de4'
esp_type='c12a7328-f81f-11d2-ba4b-00a0c93ec93b' # EFI system partition

# The offset in bytes of the first partition whose type matches an expression; nothing if there is none.
find_partition() {
    partx --noheadings --raw --output START,TYPE "$OUTPUT/disk.raw" | grep -Ei "$1" | head -n 1 |
        { read -r start _ && echo "$((start * 512))" || true; }
}

attach() {
    echo "Attaching the disk"
    root="$OUTPUT/root"
    mkdir -p "$root"
    : >"$OUTPUT/whole"
    qemu-img convert -O raw "$BASE_DISK" "$OUTPUT/disk.raw"
    start="$(find_partition "$root_types")"
    [ -n "$start" ] || { echo "error: $BASE_DISK has no Linux root partition" >&2; exit 1; }
    # By offset: a kernel without partition scan gives loop devices no partitions.
    mount -o "loop,offset=$start,noatime" "$OUTPUT/disk.raw" "$root"
    ESP="$(find_partition "$esp_type")"
    [ -d "$root/boot/efi" ] || ESP= # where Debian, Ubuntu and the Red Hat family have it
    [ -z "$ESP" ] || read_esp
    export root ESP
}

# A process namespace for the programs in the image: /proc of this one shows the secrets in Ansible's environment.
start_image_processes() {
    # shellcheck disable=SC2016 # the inner shell expands it
    env -i PATH="$PATH" unshare --pid --fork --kill-child -- \
        sh -c 'mount -t proc proc "$1" && exec sleep infinity' sh "$root/proc" &
    IMAGE_PROCESSES="/proc/$!/ns/pid_for_children"
    export IMAGE_PROCESSES
    until mountpoint -q "$root/proc"; do
        kill -0 "$!" || { echo "error: no process namespace for the image" >&2; exit 1; }
        sleep 0.05
    done
}

populate() {
    start_image_processes
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t tmpfs tmpfs "$root/run"
    mount -t tmpfs tmpfs "$root/tmp"
    # Not the host's /dev: a role runs as root and must not see the host's disks.
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for device in null zero full random urandom tty; do
        : >"$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    ln -s /proc/self/fd "$root/dev/fd"
    mkdir "$root/dev/shm" "$root/dev/pts"
    mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"

    # Name servers of the host. The file is often a link into /run, which is not the system's own here.
    resolv="$(chroot "$root" readlink -m /etc/resolv.conf)"
    mkdir -p "$root${resolv%/*}"
    [ -e "$root$resolv" ] || : >"$root$resolv"
    mount --bind /etc/resolv.conf "$root$resolv"

    # Debian's packages ask this before they start a service.
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
}

detach() {
    echo "Detaching the disk"
    kill -KILL -1 2>/dev/null || true # processes that a package started nevertheless; this script is process 1 here
    rm -f "$root/usr/sbin/policy-rc.d"
    [ -z "$ESP" ] || write_esp
    require_written
    trap - EXIT
    umount --recursive "$root"
    rmdir "$root" # this unmounts the copies that other namespaces have
    await_release
}

# Until nobody uses the file system, nothing says that all of it is in the file.
await_release() {
    tries=600 # tenths of a second
    while losetup --noheadings --associated "$OUTPUT/disk.raw" | grep -q .; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "error: a process still uses the disk; end it, and bake again" >&2; exit 1; }
        sleep 0.1
    done
}

attach
trap '[ "$?" -eq 0 ] || require_written' EXIT # a step that failed may have met a full disk of this machine
populate
"$ANSIBLE_PLAYBOOK" --inventory image, --connection community.general.chroot \
    --extra-vars "ansible_host=$root ansible_chroot_exe=$FOLDER/clean-chroot.sh in_chroot=true" \
    --extra-vars "keep_layer=$FOLDER/keep-layer.sh" \
    --extra-vars "@$ANSIBLE_VARS" "$PLAYBOOK"
detach
