# shellcheck shell=sh disable=SC2016 # part of a task; apt expands the format
#
# The address of each signed list that apt has, without a login, and its SHA-256.
if command -v apt-get >/dev/null; then
    apt-get indextargets --format '$(BASE_URI) $(FILENAME) $(METAKEY)' 'Created-By: Packages' |
        while read -r address file index; do
            folder="${file%"$(echo "$index" | tr / _)"*}"
            for name in InRelease Release; do
                [ -f "$folder$name" ] || continue
                echo "$address$name $(sha256sum <"$folder$name" | cut -d ' ' -f 1)"
                break
            done
        done | sed -E 's,^([a-z0-9+.-]+://)[^/@ ]*@,\1,' | sort -u
fi
