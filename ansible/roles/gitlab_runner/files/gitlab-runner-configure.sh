#!/bin/sh
# Writes the runner's config.toml from the files of user data beside it: config.toml.template, and `secrets`, lines of FILE
# and the SSM parameter that goes there. On a machine outside of AWS, which has no `secrets`, a person adds `token`.
# Runs at every boot, and may run again: a new token in SSM is in use then.
set -eu
umask 077
cd "${1:-/etc/gitlab-runner}"

if [ -f secrets ]; then
    while read -r file parameter; do
        bakery-fetch-parameter "$parameter" >"$file.new"
        mv "$file.new" "$file"
    done <secrets
fi

if [ ! -s token ]; then
    echo "no runner token yet: $PWD/token is missing" >&2
    exit 1
fi
# Neither an argument of a program, where others see it, nor text that TOML would read as something else.
token=$(cat token)
case $token in
*[!A-Za-z0-9._=-]*)
    echo "$PWD/token holds no runner token: only letters, digits and . _ = - are allowed" >&2
    exit 1
    ;;
esac
template=$(cat config.toml.template)
before=${template%%@TOKEN@*}
if [ "$before" = "$template" ]; then
    echo "$PWD/config.toml.template has no @TOKEN@" >&2
    exit 1
fi
printf '%s%s%s\n' "$before" "$token" "${template#*@TOKEN@}" >config.toml.new
mv config.toml.new config.toml
