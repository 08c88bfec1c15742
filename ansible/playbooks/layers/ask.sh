#!/bin/sh
# ask.sh FOLDER KEY: asks the bakery for a copy of the disk of a running guest, and waits until it is there.
set -eu
folder="$1" key="$2"
: >"$folder/$key.asked"
tries=6500 # of 0.1 s: longer than the bakery waits for QEMU, whose copy takes two seconds on an idle machine
until [ -e "$folder/$key.answered" ]; do
    [ "$((tries -= 1))" -gt 0 ] || exit 1
    sleep 0.1
done
