"""Types of text that definitions and environments share; each pattern is a rule of an outside system."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from bakery.host.connection_settings import find_fault
from bakery.model.validation import field_error


@dataclass(frozen=True)
class TextFormat:
    """The form of a text: `pattern` matches the whole text; `words` and `example` are for the message."""

    pattern: str
    words: str
    example: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": self.pattern}

    def check(self, text: str) -> str:
        """Return the text; ValueError if it does not have this form."""
        if not re.fullmatch(self.pattern, text):
            example = text.lower() if re.fullmatch(self.pattern, text.lower()) else self.example
            raise PydanticCustomError("text_format", "must be {words}", {"words": self.words, "example": example})
        return text


class UrlFormat(TextFormat):
    """The form of an address that programs can connect to. Its errors do not repeat it: it may have a password."""

    def check(self, text: str) -> str:
        if "@" in text and not re.fullmatch(self.pattern, text):  # the error of `super()` repeats the text
            raise field_error(f"it is not {self.words}", f'write it like "{self.example}", without a login')
        reason, hint = find_fault(super().check(text))
        if reason:
            raise field_error(reason, hint)
        return text


# Names are parts of names and paths in clouds (128 characters with version and arch) and of host names (63).
NAME = r"[a-z][a-z0-9-]{0,48}[a-z0-9]"
Name = Annotated[str, TextFormat(f"^{NAME}$", "2 to 50 of a-z, 0-9 and hyphens, a letter first", "web")]
VariableName = Annotated[
    str, TextFormat(r"^[a-z][a-z0-9_]*$", "a-z, 0-9 and underscores, a letter first", "app_version")
]
# Names of Debian and RPM packages, with what apt and dnf take behind them: =1.2*, :i386, -1.2-3.el9.
PackageName = Annotated[
    str,
    TextFormat(
        r"^[A-Za-z0-9@][A-Za-z0-9@+._:~^=*/-]*$", "the name of a package, a letter or digit first, no spaces", "nginx"
    ),
]
Sha256 = Annotated[str, TextFormat(r"^[0-9a-f]{64}$", "64 hexadecimal digits", "0123456789abcdef" * 4)]
Url = Annotated[
    str, UrlFormat(r"^https?://[^\s/]\S*$", "an address with http:// or https://", "https://example.com/path")
]
# Nothing but the connection proves who wrote such a list: over HTTP, anybody on the way could choose the image.
HttpsUrl = Annotated[
    str, UrlFormat(r"^https://[^\s/]\S*$", "an address with https://", "https://example.com/SHA256SUMS")
]
# No part is "." or "..": clients resolve these, and ask for another path.
VAULT_PATH = r"[\w-]+(/(?!\.{1,2}(/|$))[\w.-]+)+"
VaultPath = Annotated[str, TextFormat(f"^{VAULT_PATH}$", "an API path in Vault", "secret/data/web")]
# Vault's own mounts store no value of a user's: https://developer.hashicorp.com/vault/docs/secrets
SecretPath = Annotated[
    str,
    TextFormat(
        rf"^/?(?!(auth|sys|identity|cubbyhole)/){VAULT_PATH}/?$",
        "an API path of a secrets engine in Vault",
        "secret/data/web",
    ),
]
