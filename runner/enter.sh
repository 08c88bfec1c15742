#!/bin/bash
# Sourced by every job, in the folder of the repository: links the tools of the runner image into it, and gives `section`
# and `due` to the lines that follow.

toolbox=${BAKERY_TOOLBOX:-/opt/bakery}

# The results of the set-up, and the CDKTF program with its environments. `bakery` finds the other files by itself.
for part in .venv node_modules .bakery/tools cdktf.json cdktf/main.py cdktf/environments; do
  if [ ! -e "$part" ]; then
    mkdir -p "$(dirname "$part")"
    ln -sfn "$toolbox/$part" "$part" # also over a link of an earlier job that leads nowhere now
  fi
done
# The code of this repository, if it is the bakery's own; that of the runner image is installed in .venv.
export PATH="$PWD/.venv/bin:$PWD/.bakery/tools/bin:$PATH" PYTHONPATH="$PWD/scripts:$PWD/cdktf"

# If the project names roles at AWS, a job assumes one with the ID token that GitLab signed for it. All AWS tools look
# for this file if they have no keys. Checks run on every branch, so their role only reads.
case ${VAULT_ROLE:-bakery-validate} in
  bakery-validate) role=${BAKERY_CHECK_ROLE_ARN:-} ;;
  bakery-apply) role= ;; # works with what Vault lends, or with what the machine has
  *) role=${BAKERY_BAKE_ROLE_ARN:-} ;;
esac
if [ -n "$role" ]; then
  AWS_WEB_IDENTITY_TOKEN_FILE=$(mktemp) # which only this user may read
  trap 'rm -f "$AWS_WEB_IDENTITY_TOKEN_FILE"' EXIT # also on a machine that jobs share
  printf '%s' "$AWS_ID_TOKEN" >"$AWS_WEB_IDENTITY_TOKEN_FILE"
  export AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN="$role" AWS_ROLE_SESSION_NAME="gitlab-job-$CI_JOB_ID"
fi
unset AWS_ID_TOKEN role

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
