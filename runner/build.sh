#!/bin/bash
# Builds the runner image, pushes it to the project's registry, and hands on its digest: tags move, digests do not.
set -euo pipefail

export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot # what works in a container without rights of its own
image=$CI_REGISTRY_IMAGE/runner
# The login ends with this job, also on a machine that jobs share.
scratch=$(mktemp --directory)
trap 'rm -rf "$scratch"' EXIT
export REGISTRY_AUTH_FILE=$scratch/auth.json
"$(dirname "$0")/registry-login.sh"
buildah build --file runner/Dockerfile --ignorefile runner/ignore --tag "$image:latest" .
buildah push --digestfile runner.digest "$image:latest"
echo "BAKERY_RUNNER_IMAGE=$image@$(cat runner.digest)" >runner.env
