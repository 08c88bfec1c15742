"""ARNs of roles and policies."""

from typing import Annotated

from bakery.fields import Form

RoleArn = Annotated[
    str,
    Form(
        r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$",
        "the ARN of an IAM role",
        "arn:aws:iam::123456789012:role/bakery-bake",
    ),
]
PolicyArn = Annotated[
    str,
    Form(
        r"^arn:aws[a-z-]*:iam::[0-9]{12}:policy/\S+$",
        "the ARN of an IAM policy",
        "arn:aws:iam::123456789012:policy/boundary",
    ),
]
