"""Shows progress and results: a live view on a terminal, plain lines in a pipe, and always a full log file."""

from bakery.reports.differences import lines, render_applied, render_differences
from bakery.reports.junit import render_junit
from bakery.reports.screen import Verbosity, watch
from bakery.reports.tables import WIDTH, render_table

__all__ = [
    "WIDTH",
    "Verbosity",
    "lines",
    "render_applied",
    "render_differences",
    "render_junit",
    "render_table",
    "watch",
]
