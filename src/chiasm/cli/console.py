"""The console that tables are printed on."""

import sys

from rich.console import Console

PIPED = 100
"""Columns of a table that no terminal bounds."""


def console() -> Console:
    """As wide as the terminal; wide enough for every table where there is none."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPED)
