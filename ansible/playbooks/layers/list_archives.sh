# shellcheck shell=sh disable=SC2154 # part of a task; apt-config sets lists
#
# The address of the signed list of each archive of apt, without a login, and its SHA-256, or "none" if apt has no such
# list: then nobody can ask whether the archive has changed. An archive without packages counts, since it may get some.
if command -v apt-get >/dev/null; then
    eval "$(apt-config shell lists Dir::State::lists/d)"
    apt-get update --print-uris | while read -r address file _; do
        address="${address#\'}" address="${address%\'}" digest=none
        case "$file" in
        *_InRelease) ;;
        *) continue ;;
        esac
        # An older archive signs its list in a file of its own.
        [ -f "$lists$file" ] || { address="${address%InRelease}Release" file="${file%InRelease}Release"; }
        [ ! -f "$lists$file" ] || digest="$(sha256sum <"$lists$file" | cut -d ' ' -f 1)"
        echo "$address $digest"
    done | sed -E 's,^([a-z0-9+.-]+://)[^/@ ]*@,\1,' | sort -u
fi
