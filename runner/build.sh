#!/bin/bash
# Builds the runner image and pushes it to BAKERY_RUNNER_REPOSITORY. The file runner.image names it by its digest: later
# jobs of the pipeline run in it, and a merge request proposes it for all pipelines.
set -euo pipefail

here=$(dirname "$0")
if [ -z "${BAKERY_RUNNER_REPOSITORY:-}" ]; then
  echo "error: .gitlab/bakery.env does not set BAKERY_RUNNER_REPOSITORY, such as registry.example.com/GROUP/PROJECT/runner" >&2
  exit 64
fi
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot # what works in a container without rights of its own
# Never again, also when the job is retried: the stack's repository changes no tag.
image=$BAKERY_RUNNER_REPOSITORY:$CI_COMMIT_SHORT_SHA-$CI_JOB_ID
# The login ends with this job, also on a machine that jobs share.
scratch=$(mktemp --directory)
trap 'rm -rf "$scratch"' EXIT
export REGISTRY_AUTH_FILE=$scratch/auth.json
case $BAKERY_RUNNER_REPOSITORY in
  *.dkr.ecr.*) "$here/ecr-login.sh" ;;
  *) "$here/registry-login.sh" ;;
esac
buildah build --file runner/Dockerfile --ignorefile runner/ignore --tag "$image" .
buildah push --digestfile "$scratch/digest" "$image"
echo "$BAKERY_RUNNER_REPOSITORY@$(cat "$scratch/digest")" >runner.image
cat runner.image
"$here/propose.sh"
