"""Errors as the resource manager answers them."""


class Refusal(Exception):
    """An answer other than success: HTTP status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    @property
    def body(self) -> dict[str, dict[str, str]]:
        return {"error": {"code": self.code, "message": self.message}}


def invalid(message: str) -> Refusal:
    return Refusal(400, "InvalidParameter", message)


def missing(resource_id: str) -> Refusal:
    return Refusal(404, "ResourceNotFound", f"The Resource '{resource_id}' was not found.")


def conflict(message: str) -> Refusal:
    return Refusal(409, "Conflict", message)


def unchangeable(name: str) -> Refusal:
    return Refusal(409, "PropertyChangeNotAllowed", f"Changing property '{name}' is not allowed.")
