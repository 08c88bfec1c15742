"""Words for people."""


def count_of(number: int, noun: str) -> str:
    """A number and its noun: "1 pointer", "2 pointers"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def describe_duration(seconds: float) -> str:
    """A duration: "98 s", "6 min 12 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 // 60 else "")


def estimate_duration(seconds: float) -> str:
    """A duration that is not known to the second: "40 s", "6 min"."""
    return describe_duration(seconds if seconds < 120 else 60 * round(seconds / 60))
