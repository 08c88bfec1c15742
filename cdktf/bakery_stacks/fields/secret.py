"""The name of a secret. A value in its place is refused, and the error does not repeat it."""

import re
from typing import Annotated

from pydantic import AfterValidator

from bakery.model.validation import field_error

NAME = re.compile(r"(/[A-Za-z0-9_.-]+){2,15}")  # SSM, "Parameter naming constraints": 15 levels at most
PUBLISHED = "/bakery/"  # image parameters, all of which the publisher role may read


def _check_name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise field_error(
            "must be the name of an SSM parameter, such as /platform/vault/key",
            "if it is the secret itself, others may have seen it: create a new one, put it into a SecureString,"
            " and write its name here",
        )
    if text.startswith((PUBLISHED, "/aws/", "/ssm/")):
        reason = f"must not be below {'/'.join(text.split('/')[:2])}/, where others can read it or nobody can write it"
        raise field_error(reason, "choose a path of your own, such as /platform/")
    return text


ParameterName = Annotated[str, AfterValidator(_check_name)]
