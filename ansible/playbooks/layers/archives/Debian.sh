# shellcheck shell=sh disable=SC2154 # part of a task; apt-config sets lists
#
# The address of the signed list of each archive of apt, without a login, and its SHA-256, or "none" if apt has no such
# list or nobody else has it: then nobody can ask whether the archive has changed. An archive without packages counts,
# since it may get some.
if command -v apt-get >/dev/null; then
    eval "$(apt-config shell lists Dir::State::lists/d)"
    # Where apt cannot read its sources, nobody knows which archives there are.
    uris="$(apt-get update --print-uris)" || echo "/etc/apt/sources.list none"
    # An address may have spaces, such as the name of a CD.
    echo "$uris" | sed -nE "s/^'(.*)' ([^ ]*_InRelease) .*/\2 \1/p" | sed 's/ /%20/2g' | while read -r file address; do
        digest=none
        # An older archive signs its list in a file of its own.
        [ -f "$lists$file" ] || { address="${address%InRelease}Release" file="${file%InRelease}Release"; }
        case "$address" in
        mirror+file:*) # as in Debian's cloud images: the first mirror stands for all
            mirrors="${address#mirror+file:}" mirrors="${mirrors%%/dists/*}"
            mirror="$(grep -os '^[^#[:space:]]*' "$mirrors" | head -n 1)"
            [ -z "$mirror" ] || address="${mirror%/}${address#"mirror+file:$mirrors"}"
            ;;
        esac
        case "$address" in
        cdrom:* | copy:* | file:*) ;; # the machine that asks does not have it
        mirror:* | mirror+*) ;; # the list of mirrors is elsewhere
        *) [ ! -f "$lists$file" ] || digest="$(sha256sum <"$lists$file" | cut -d ' ' -f 1)" ;;
        esac
        echo "$address $digest"
    done | sed -E 's,^([a-z0-9+.-]+://)[^/@ ]*@,\1,' | sort -u
fi
