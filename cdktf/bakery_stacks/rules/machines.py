"""Rules on how machines are started."""

from collections.abc import Iterator

from bakery_stacks.rules.rule import Resource, Rule, Stack, as_blocks, is_known, is_on, refers_to

HOPS = 1  # an answer with this limit ends at the machine; a container's network is one hop further


def _old_metadata(resource: Resource, _: Stack) -> Iterator[str]:
    if resource.kind == "aws_instance" and resource.blocks("launch_template"):
        return  # the template has these settings
    options = resource.blocks("metadata_options") or [{}]
    for option in options:
        if option.get("http_endpoint") == "disabled":
            continue
        tokens, hops = option.get("http_tokens"), option.get("http_put_response_hop_limit")
        if is_known(tokens) and tokens != "required":
            yield "does not set metadata_options.http_tokens to required"
        if is_known(hops) and hops != HOPS:
            yield f"does not set metadata_options.http_put_response_hop_limit to {HOPS}"


def _untagged_machines(resource: Resource, stack: Stack) -> Iterator[str]:
    """A provider's default tags reach the group and its template, but not what they start."""
    tags = [tag for tag in resource.blocks("tag") if is_on(tag.get("propagate_at_launch"))]
    if not tags and not any(_tags_machines(template) for template in _launch_templates(resource, stack)):
        yield "propagates no tag, nor does its launch template tag instances"


def _launch_templates(group: Resource, stack: Stack) -> Iterator[Resource]:
    direct = group.blocks("launch_template")
    mixed = [
        specification
        for policy in group.blocks("mixed_instances_policy")
        for template in as_blocks(policy.get("launch_template"))
        for specification in as_blocks(template.get("launch_template_specification"))
    ]
    for template in stack.of_kind("aws_launch_template"):
        values = (block.get(name) for block in (*direct, *mixed) for name in ("id", "name", "launch_template_id"))
        if any(refers_to(value, template) for value in values):
            yield template


def _tags_machines(template: Resource) -> bool:
    specifications = template.blocks("tag_specifications")
    return any(
        specification.get("resource_type") == "instance" and specification.get("tags")
        for specification in specifications
    )


MACHINES = (
    Rule(
        "BKY020",
        "error",
        "instance metadata needs a token and does not leave the machine",
        "a forged request, or a container's, would get the machine's credentials",
        ("aws_launch_template", "aws_instance"),
        _old_metadata,
    ),
    Rule(
        "BKY021",
        "error",
        "machines of a group carry tags",
        "default tags do not reach machines, and tags show costs and owners",
        ("aws_autoscaling_group",),
        _untagged_machines,
    ),
)
