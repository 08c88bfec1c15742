#!/bin/bash
# Builds the runner image, pushes it, and passes on its digest: tags move, digests do not. It goes to the project's
# registry, where checks run in `latest`, and to the runner stack's, if the project names that: there bakes run from it.
set -euo pipefail

export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot # what works in a container without rights of its own
image=$CI_REGISTRY_IMAGE/runner
tag=$CI_COMMIT_SHORT_SHA-$CI_JOB_ID # never again, also when the job is retried: the stack's repository changes no tag
# The login ends with this job, also on a machine that jobs share.
scratch=$(mktemp --directory)
trap 'rm -rf "$scratch"' EXIT
export REGISTRY_AUTH_FILE=$scratch/auth.json
"$(dirname "$0")/registry-login.sh"
buildah build --file runner/Dockerfile --ignorefile runner/ignore --tag "$image:$tag" .
pinned=$image
buildah push --digestfile runner.digest "$image:$tag"
if [ -n "${BAKERY_RUNNER_REPOSITORY:-}" ]; then
  pinned=$BAKERY_RUNNER_REPOSITORY
  "$(dirname "$0")/ecr-login.sh"
  buildah push --digestfile runner.digest "$image:$tag" "docker://$pinned:$tag"
fi
buildah push "$image:$tag" "docker://$image:latest" # last: checks of other branches run in it
echo "BAKERY_RUNNER_IMAGE=$pinned@$(cat runner.digest)" >runner.env
