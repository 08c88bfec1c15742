"""How long CloudWatch keeps logs."""

from typing import Literal

LogDays = Literal[7, 14, 30, 60, 90, 180, 365]  # a choice of the values that CloudWatch accepts
