#!/bin/bash
# Builds the runner image, pushes it to the project's registry, and hands on its digest: tags move, digests do not.
set -euo pipefail

export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot # what works in a container without rights of its own
image=$CI_REGISTRY_IMAGE/runner
buildah login --username "$CI_REGISTRY_USER" --password-stdin "$CI_REGISTRY" <<<"$CI_REGISTRY_PASSWORD"
buildah build --file runner/Dockerfile --ignorefile runner/ignore --tag "$image:latest" .
buildah push --digestfile runner.digest "$image:latest"
echo "BAKERY_RUNNER_IMAGE=$image@$(cat runner.digest)" >runner.env
