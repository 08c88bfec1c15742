"""Kinds of text that definitions and environments share; each pattern says what an outside system accepts."""

from typing import Annotated

from pydantic import StringConstraints

# Names end up in AMI names (128 characters with version and arch), SSM paths and host names (63).
NAME = r"[a-z][a-z0-9-]{0,48}[a-z0-9]"
Name = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
VariableName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Region = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")]
Account = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+")]
VaultPath = Annotated[str, StringConstraints(pattern=r"^[\w-]+(/[\w.-]+)+$")]
