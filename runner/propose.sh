#!/bin/bash
# Proposes the image that runner.image names, as `runner_image` of .gitlab-ci.yml, in a merge request: a person decides
# what protected branches run in. Without BAKERY_GITLAB_URL it prints the line to change.
set -euo pipefail
# shellcheck source=/dev/null
. "$(dirname "$0")/vault.sh"

secret=secret/data/bakery/runner/proposal
file=.gitlab-ci.yml
pinned=$(cat runner.image)
sed -E "s|^( +runner_image: )[^ ]+@sha256:[0-9a-f]{64}$|\1$pinned|" "$file" >"$file.proposed"
if [ "$(grep -cxE " +runner_image: $pinned" "$file.proposed")" != 1 ]; then
  fail "$file has no single line 'runner_image: REPOSITORY@sha256:DIGEST' to change"
fi
if [ -z "${BAKERY_GITLAB_URL:-}" ] || [ -z "${VAULT_ADDR:-}" ]; then
  echo "note: nothing was proposed, since .gitlab/bakery.env does not set BAKERY_GITLAB_URL and VAULT_ADDR." \
    "Change this line of $file in a merge request: runner_image: $pinned"
  exit
fi

log_in_to_vault
answer=$(ask_as_us "$secret")
access=$(field token <<<"$answer")
if [ -z "$access" ]; then
  fail "$secret in Vault needs the key token, an access token of the project with the scope api"
fi
project=${BAKERY_GITLAB_URL%/}/api/v4/projects/$CI_PROJECT_ID
branch=runner-image-${pinned: -12}

# call METHOD PATH ARGUMENT...: GitLab's answer.
call() {
  local method=$1 path=$2 answer
  shift 2
  answer=$(curl --silent --show-error --fail-with-body --max-time 30 --retry 3 --retry-connrefused \
    --request "$method" --header @<(printf 'PRIVATE-TOKEN: %s\n' "$access") "$@" "$project/$path") ||
    fail "GitLab at $BAKERY_GITLAB_URL refuses $method $path: $answer"
  printf '%s\n' "$answer"
}

call PUT repository/files/%2Egitlab-ci%2Eyml --form-string "branch=$branch" \
  --form-string "start_branch=$CI_COMMIT_BRANCH" --form-string "commit_message=runner: use the image of $CI_COMMIT_SHORT_SHA" \
  --form-string encoding=base64 --form "content=<-" < <(base64 --wrap=0 "$file.proposed") >/dev/null
call POST merge_requests --form-string "source_branch=$branch" --form-string "target_branch=$CI_COMMIT_BRANCH" \
  --form-string "title=Use the runner image of $CI_COMMIT_SHORT_SHA" --form-string remove_source_branch=true >/dev/null
echo "proposed in a merge request of the branch $branch"
