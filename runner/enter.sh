#!/bin/bash
# Sourced by every job, in the folder of the repository: goes to the project and puts the tools there that the runner
# image brings. Gives `section` and `due` to the lines that follow.

toolbox=${BAKERY_TOOLBOX:-/opt/bakery}
job_dir=$PWD

# A repository that has definitions alone is baked with the roles, templates and stacks of the runner image.
if [ ! -e ansible/bake.yml ]; then
  export BAKERY_DEFINITIONS="${BAKERY_DEFINITIONS:-$job_dir/packer/images}"
  export BAKERY_WORKSPACE="${BAKERY_WORKSPACE:-$job_dir/.bakery}"
  cd "$toolbox" || exit
fi
for made in .venv node_modules .bakery/tools; do
  if [ ! -e "$made" ]; then
    mkdir -p .bakery
    ln -s "$toolbox/$made" "$made"
  fi
done
export PATH="$PWD/.venv/bin:$PWD/.bakery/tools/bin:$PATH" PYTHONPATH="$PWD/scripts:$PWD/cdktf"

# section NAME TITLE COMMAND...: runs a command in a part of the job's log that can be folded.
section() {
  local name=$1 title=$2 code=0
  shift 2
  printf '\e[0Ksection_start:%s:%s\r\e[0K%s\n' "$(date +%s)" "$name" "$title"
  "$@" || code=$?
  printf '\e[0Ksection_end:%s:%s\r\e[0K\n' "$(date +%s)" "$name"
  return "$code"
}

# due IMAGE: whether it still needs work. A parent that came out the same leaves its children alone, and another
# pipeline may have been faster. What goes wrong here goes wrong in the verb that follows, which says it.
due() {
  ! bakery plan "$1" --detailed-exitcode
}
