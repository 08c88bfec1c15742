"""ARNs of roles and policies."""

from typing import Annotated

from bakery.model.fields import TextFormat

RoleArn = Annotated[
    str,
    TextFormat(
        r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$",
        "the ARN of an IAM role",
        "arn:aws:iam::123456789012:role/bakery-bake",
    ),
]
PolicyArn = Annotated[
    str,
    TextFormat(
        r"^arn:aws[a-z-]*:iam::[0-9]{12}:policy/\S+$",
        "the ARN of an IAM policy",
        "arn:aws:iam::123456789012:policy/boundary",
    ),
]
