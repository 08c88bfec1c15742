#!/bin/sh
# chroot(8) for Ansible's connection. Ansible has the secrets of the image in its environment; the programs in the image
# get none of it but the proxies of this machine. They also have their own process namespace ($IMAGE_PROCESSES), since
# /proc shows root the environment of every process.
set -eu
set -- nsenter --pid="$IMAGE_PROCESSES" -- chroot "$@"
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    eval "value=\${$name-}"
    [ -z "$value" ] || set -- "$name=$value" "$@"
done
# In a process namespace neither Ansible nor systemctl detects the chroot; two of these variables say so. With the
# third, bootctl and kernel-install take the copy of the EFI system partition for the partition itself.
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    SYSTEMD_OFFLINE=1 debian_chroot=bakery SYSTEMD_RELAX_ESP_CHECKS=1 "$@"
