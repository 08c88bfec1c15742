"""Words for people."""


def count_of(number: int, noun: str) -> str:
    """A number and its noun: "1 pointer", "2 pointers"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
