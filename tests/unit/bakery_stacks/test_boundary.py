"""The permissions boundary lands on every role, and on nothing else."""

from typing import Any

from bakery.catalog import Catalog
from bakery_stacks.config import Environment, Settings

BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"


def test_every_role_gets_it(synth: Any, catalog: Catalog, environment: Environment) -> None:
    bound = environment.model_copy(update={"permissions_boundary": BOUNDARY})
    resources = synth(Settings(bound, bound.catalog, stand_in=False), catalog)["distribution"]["resource"]
    having = {kind for kind, named in resources.items() for one in named.values() if "permissions_boundary" in one}
    assert having == {"aws_iam_role"}
    assert {role["permissions_boundary"] for role in resources["aws_iam_role"].values()} == {BOUNDARY}


def test_without_one_there_is_none(stacks: dict[str, Any]) -> None:
    assert all(
        "permissions_boundary" not in role for role in stacks["distribution"]["resource"]["aws_iam_role"].values()
    )
