"""Shows progress and results: a live view on a terminal, plain lines in a pipe, and always a full log file."""

from bakery.reports.differences import applied, differences, lines
from bakery.reports.junit import junit
from bakery.reports.screen import Verbosity, watch
from bakery.reports.tables import table

__all__ = ["Verbosity", "applied", "differences", "junit", "lines", "table", "watch"]
