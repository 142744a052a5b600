"""Tables for people: as wide as the terminal, with long texts wrapped inside their column; whole lines in a pipe."""

import io
import sys
from collections.abc import Iterable, Sequence

import click
from rich.console import Console
from rich.table import Table

NO_LIMIT = 1000


def echo_table(headers: Sequence[str], rows: Iterable[Sequence[str]], wrapped: Sequence[str] = ()) -> None:
    """Print rows of text below their headers. The columns in `wrapped` give way where the terminal is narrow."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for header in headers:
        table.add_column(header, no_wrap=header not in wrapped, overflow="fold")
    for row in rows:
        table.add_row(*row)
    printed = io.StringIO()
    Console(file=printed, width=width(), highlight=False, markup=False, emoji=False).print(table)
    click.echo("\n".join(line.rstrip() for line in printed.getvalue().splitlines()))


def width() -> int:
    """Characters of a line: the terminal's, or no limit where there is none, so that a line stays one for grep."""
    return Console().width if sys.stdout.isatty() else NO_LIMIT


def number(value: float) -> str:
    """A number in digits, as a person writes it: 67,108,864 and not 6.71089e+07; 0.002 as it is."""
    return f"{value:,.10g}" if abs(value) < 1e10 and (value == 0 or abs(value) >= 1e-4) else f"{value:g}"
