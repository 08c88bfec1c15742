"""The container image that jobs run in: by digest, from one repository."""

import re

from bakery.host.errors import UsageError

# A reference without a tag. `$` is not in it: a variable can be set from outside.
PINNED = re.compile(r"(?P<repository>[a-z0-9][a-z0-9._-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)+)@sha256:[0-9a-f]{64}")


def choose_image(committed: str, built: str = "") -> str:
    """The image of the jobs of a child pipeline.

    `committed` is the one that the pipeline's own file names. `built` is the one that a job of this pipeline made, if
    any: it is taken if it is of the same repository. Raises UsageError for a reference that is not a digest.
    """
    repository = _repository_of(committed)
    if not built:
        return committed
    if _repository_of(built) != repository:
        raise UsageError(
            f"the pipeline built {built}, which is not of the repository {repository}",
            hint="name the new repository by the input runner_image of .gitlab-ci.yml, in a merge request",
        )
    return built


def _repository_of(image: str) -> str:
    reference = PINNED.fullmatch(image)
    if not reference:
        raise UsageError(
            f"the runner image '{image}' is not named by its digest",
            hint="write REGISTRY/PATH@sha256:DIGEST: everybody who may push a tag could otherwise change all jobs",
        )
    return reference["repository"]
