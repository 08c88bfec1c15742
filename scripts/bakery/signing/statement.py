"""in-toto statements: what a signature says about which bytes (in-toto Attestation Framework, Statement v1)."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bakery.host.errors import BakeryError

PAYLOAD = "application/vnd.in-toto+json"  # type of the payload in an envelope
STATEMENT_TYPE: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"


class _Part(BaseModel):
    """Fields that a reader does not know are ignored, as in-toto's rules for parsing say."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=True, validate_by_alias=True)


class Subject(_Part):
    """The bytes that a statement is about: a name for people, and hex digests by algorithm."""

    name: str
    digest: dict[str, str] = Field(min_length=1)


class Statement(_Part):
    """A predicate (a JSON object of a type) about subjects."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(
        default=STATEMENT_TYPE, validation_alias="_type", serialization_alias="_type"
    )
    subject: tuple[Subject, ...] = Field(min_length=1)
    predicate_type: str = Field(validation_alias="predicateType", serialization_alias="predicateType")
    predicate: dict[str, Any]

    def dump(self) -> bytes:
        """The statement as JSON."""
        return self.model_dump_json(by_alias=True).encode()

    @classmethod
    def parse(cls, content: bytes, where: str) -> "Statement":
        """The statement of JSON bytes; BakeryError if they are another document."""
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise BakeryError("it signs no in-toto statement", where=where, detail=reason) from error
