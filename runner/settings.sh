#!/bin/bash
# Sourced first by every job. Variables of a pipeline, a trigger or a schedule beat all others in GitLab, so a job takes
# nothing from its environment but what GitLab alone can make. Its settings are in .gitlab/bakery.env of the commit.

set +a +x
unset -v _kept _settings _ignored _name _line # so that none of these is in the list below
IFS=$' \t\n'
# Tokens that GitLab made for this job, and names that records keep. A forged one of these opens nothing.
_kept=" CI CI_COMMIT_BRANCH CI_COMMIT_SHORT_SHA CI_JOB_ID CI_JOB_URL CI_PIPELINE_ID CI_PIPELINE_URL CI_PROJECT_ID"
_kept+=" CI_PROJECT_URL CI_REGISTRY_USER CI_REGISTRY_PASSWORD VAULT_ID_TOKEN AWS_ID_TOKEN HOSTNAME TERM "
_settings=.gitlab/bakery.env
_ignored=
for _name in $(compgen -e); do
  case $_kept in
    *" $_name "*) continue ;;
  esac
  case $_name in
    BAKERY_* | VAULT_* | AWS_*) _ignored+=" $_name" ;;
  esac
  unset -v "$_name" 2>/dev/null || true # bash keeps some of its own
done
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
export HOME

# NAME=VALUE, as it stands: no quotes, no expansion.
if [ -f "$_settings" ]; then
  while IFS= read -r _line || [ -n "$_line" ]; do
    if [[ $_line =~ ^[[:space:]]*(#.*)?$ ]]; then
      continue
    fi
    if [[ ! $_line =~ ^[A-Za-z_][A-Za-z0-9_]*= ]]; then
      echo "error: $_settings: not NAME=VALUE: $_line" >&2
      exit 64
    fi
    export "${_line?}"
  done <"$_settings"
fi
if [ -n "$_ignored" ]; then
  echo "note: jobs read $_settings, and ignore these variables of GitLab:$_ignored" >&2
fi
unset -v _kept _settings _ignored _name _line
