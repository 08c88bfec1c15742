"""A rule, and the view of a stack that it checks: the blocks that Terraform gets."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal


@dataclass(frozen=True)
class Resource:
    """A block as Terraform gets it, with references as `${...}`.

    `kind` is aws_kms_key, or data.aws_iam_policy_document, or provider.aws; `path` is that of its construct.
    """

    kind: str
    name: str
    path: str
    arguments: dict[str, Any]

    def blocks(self, name: str) -> list[dict[str, Any]]:
        """The nested blocks of a name, including dynamic ones."""
        dynamic = (self.arguments.get("dynamic") or {}).get(name)
        return [*as_blocks(self.arguments.get(name)), *(block["content"] for block in as_blocks(dynamic))]


@dataclass(frozen=True)
class Stack:
    """The blocks of a stack."""

    resources: tuple[Resource, ...]

    def of_kind(self, kind: str) -> list[Resource]:
        """The resources of a kind."""
        return self._by_kind[kind]

    def referring_to(self, target: Resource, kind: str, argument: str) -> list[Resource]:
        """The resources of a kind whose `argument` is a reference to `target`, or its literal name."""
        literal = target.arguments.get(argument)

        def refers(resource: Resource) -> bool:
            value = resource.arguments.get(argument)
            return refers_to(value, target) or (literal is not None and value == literal)

        return [resource for resource in self.of_kind(kind) if refers(resource)]

    @cached_property
    def _by_kind(self) -> dict[str, list[Resource]]:
        kinds: dict[str, list[Resource]] = defaultdict(list)
        for resource in self.resources:
            kinds[resource.kind].append(resource)
        return kinds


Find = Callable[[Resource, Stack], Iterator[str]]


@dataclass(frozen=True)
class Rule:
    """`find` yields the faults of a resource, each as the end of a sentence that begins with its kind.

    A rule checks resources of its `kinds`, or all resources if it names none.
    """

    id: str
    level: Literal["error", "warning"]
    demand: str
    reason: str
    kinds: tuple[str, ...]
    find: Find
    lasting: bool = False  # not checked in a disposable environment


def view_stack(terraform: dict[str, Any], root: str) -> Stack:
    """The view of a stack, from its resolved JSON.

    Providers and states of other stacks have no path there; they get that of the stack, `root`.
    """
    resources = [
        *_parse_resources("", terraform.get("resource", {}), root),
        *_parse_resources("data.", terraform.get("data", {}), root),
        *(
            Resource(f"provider.{name}", name, root, arguments)
            for name, providers in terraform.get("provider", {}).items()
            for arguments in providers
        ),
    ]
    return Stack(tuple(resources))


def as_blocks(value: Any) -> list[dict[str, Any]]:
    """Nested blocks as a list. Terraform takes an object or a list of objects; references are left out."""
    values = value if isinstance(value, list) else [value]
    return [block for block in values if isinstance(block, dict)]


def is_known(value: Any) -> bool:
    """Whether a value is known now; False for a value that only Terraform will know."""
    return not (isinstance(value, str) and "${" in value)


def is_on(value: Any) -> bool:
    """Whether a value is known to be true; cdktf writes some booleans as text."""
    return value is True or value == "true"


def may_be_on(value: Any) -> bool:
    """Whether a value is true, or only Terraform will know it, which rules accept."""
    return is_on(value) or not is_known(value)


def refers_to(value: Any, target: Resource) -> bool:
    """Whether a value is a reference to a resource."""
    return isinstance(value, str) and f"${{{target.kind}.{target.name}." in value


def _parse_resources(prefix: str, kinds: dict[str, Any], root: str) -> Iterator[Resource]:
    for kind, resources in kinds.items():
        for name, block in resources.items():
            arguments = {key: value for key, value in block.items() if key != "//"}
            path = block["//"]["metadata"]["path"] if "//" in block else root
            yield Resource(f"{prefix}{kind}", name, path, arguments)
