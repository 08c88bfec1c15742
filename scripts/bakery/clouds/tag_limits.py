"""The limits of tags that clouds share. Each cloud has its own rule for keys."""

from collections.abc import Callable, Mapping

from bakery.model.validation import field_error

# AWS, "Tagging AWS resources", and Azure, "Tag support for resources": 50 tags, of which the bakery and its stacks need
# up to 10; values of 256 characters.
MOST_TAGS = 40
LONGEST_VALUE = 256


def check_tags(cloud: str, tags: Mapping[str, str], find_key_fault: Callable[[str], str], *keys: str) -> None:
    """Raise an error of a validator if a cloud would refuse tags, which are below `keys`.

    `find_key_fault` gives the cloud's reason to refuse a key; empty if it takes it.
    """
    if len(tags) > MOST_TAGS:
        reason = f"{len(tags)} tags are more than the {MOST_TAGS} that fit beside the bakery's own at {cloud}"
        raise field_error(reason, "remove some", *keys)
    for key, value in tags.items():
        if reason := find_key_fault(key):
            raise field_error(reason, "choose another key", *keys, key)
        if len(value) > LONGEST_VALUE:
            reason = f"{cloud} takes a value of at most {LONGEST_VALUE} characters"
            raise field_error(reason, "shorten it", *keys, key)
