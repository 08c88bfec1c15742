#!/bin/bash
# Sourced by every job with its duty, in the folder of the repository: `. /opt/bakery/runner/enter.sh publish`. Links the
# tools of the runner image into it, and gives `section` and `due` to the lines that follow.

unset -v _toolbox _duty _folder _part _role
_toolbox=${BASH_SOURCE[0]%/runner/enter.sh} # the path that the job wrote out
_duty=$1
. "$_toolbox/runner/settings.sh"
_folder=$(pwd -P)

# The results of the set-up, and the CDKTF program with its environments. `bakery` finds the other files by itself.
for _part in .venv node_modules .bakery/tools cdktf.json cdktf/main.py cdktf/environments; do
  if [ ! -e "$_part" ]; then
    mkdir -p "$(dirname "$_part")"
    ln -sfn "$_toolbox/$_part" "$_part" # also over a link of an earlier job that leads nowhere now
  fi
done
# The code of this repository, if it is the bakery's own; that of the runner image is installed in .venv.
export PATH="$_folder/.venv/bin:$_folder/.bakery/tools/bin:$PATH" PYTHONPATH="$_folder/scripts:$_folder/cdktf"
export VAULT_ROLE="bakery-$_duty"
# Each job signs with the key of its duty, and a document that another key signed is refused.
if [ -n "${VAULT_ADDR:-}" ]; then
  export BAKERY_SIGNING_KEY="${BAKERY_SIGNING_KEY:-vault:transit}"
fi

# If the project names a role at AWS for this duty, the job assumes it with the ID token that GitLab signed for it. All
# AWS tools look for this file if they have no keys. AWS decides by the token, whose audience names the duty.
case $_duty in
  validate) _role=${BAKERY_CHECK_ROLE_ARN:-} ;;
  bake-*) _role=${BAKERY_BAKE_ROLE_ARN:-} ;;
  verify) _role=${BAKERY_VERIFY_ROLE_ARN:-} ;;
  publish) _role=${BAKERY_PUBLISH_ROLE_ARN:-} ;;
  *) _role= ;; # apply works with what Vault lends, or with what the machine has
esac
if [ -n "$_role" ]; then
  AWS_WEB_IDENTITY_TOKEN_FILE=$(mktemp) # which only this user may read
  trap 'rm -f "$AWS_WEB_IDENTITY_TOKEN_FILE"' EXIT # also on a machine that jobs share
  printf '%s' "$AWS_ID_TOKEN" >"$AWS_WEB_IDENTITY_TOKEN_FILE"
  export AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN="$_role" AWS_ROLE_SESSION_NAME="gitlab-job-$CI_JOB_ID"
fi
unset -v AWS_ID_TOKEN CI_REGISTRY_USER CI_REGISTRY_PASSWORD _toolbox _duty _folder _part _role

# section NAME TITLE COMMAND...: runs a command in a part of the job's log that can be folded.
section() {
  local name=$1 title=$2 code=0
  shift 2
  printf '\e[0Ksection_start:%s:%s\r\e[0K%s\n' "$(date +%s)" "$name" "$title"
  "$@" || code=$?
  printf '\e[0Ksection_end:%s:%s\r\e[0K\n' "$(date +%s)" "$name"
  return "$code"
}

# note IMAGE: writes and prints what the newest version changed. A first version has no note.
note() {
  if bakery compare "$1" --markdown >"note-$1.md"; then
    section note "What is new in $1" cat "note-$1.md"
  else
    rm -f "note-$1.md"
  fi
}

# due IMAGE [--baked-before TIME]: whether it still needs work. If its parent's content did not change, it needs none,
# and another pipeline may have been faster. If the plan fails here, it also fails in the verb that follows, which
# reports it.
due() {
  ! bakery plan "$@" --detailed-exitcode
}
