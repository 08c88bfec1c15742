"""The container image of jobs: by digest, of one repository."""

import pytest

from bakery.engine.runner_image import choose_image
from bakery.host.errors import UsageError

REPOSITORY = "registry.example.com:5000/group/project/runner"
COMMITTED = f"{REPOSITORY}@sha256:{'0' * 64}"
BUILT = f"{REPOSITORY}@sha256:{'1' * 64}"


def test_what_the_pipeline_built_comes_before_what_is_committed() -> None:
    assert choose_image(COMMITTED) == COMMITTED
    assert choose_image(COMMITTED, BUILT) == BUILT


@pytest.mark.parametrize(
    "image",
    [
        "",
        "runner",
        f"{REPOSITORY}:latest",
        f"{REPOSITORY}:1@sha256:{'0' * 64}",
        f"{REPOSITORY}@sha256:{'0' * 63}",
        f"{REPOSITORY}@sha256:{'0' * 64}\n",
        f"$CI_REGISTRY_IMAGE/runner@sha256:{'0' * 64}",
        f"runner@sha256:{'0' * 64}",
    ],
)
def test_a_tag_or_a_variable_is_refused(image: str) -> None:
    with pytest.raises(UsageError, match="not named by its digest"):
        choose_image(image)
    if image:
        with pytest.raises(UsageError, match="not named by its digest"):
            choose_image(COMMITTED, image)


@pytest.mark.parametrize(
    "other",
    ["docker.io/evil/runner", f"{REPOSITORY}-evil", f"{REPOSITORY}/evil", "registry.example.com:5000/group/runner"],
)
def test_another_repository_is_refused(other: str) -> None:
    with pytest.raises(UsageError, match=r"not of the repository registry\.example\.com:5000/group/project/runner"):
        choose_image(COMMITTED, f"{other}@sha256:{'1' * 64}")
