"""Renders results as text tables, the same on a terminal and in a pipe."""

from collections.abc import Sequence

WIDTH = 80  # columns of text that is wrapped: those of a terminal that nobody made wider


def render_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell, header in capitals; the last column is never padded or cut."""
    lines = [[title.upper() for title in header], *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)
