"""What commands print: one JSON document, JSON lines, or a table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

_WIDTH_OF_FILES = 160


def print_json(facts: Any) -> None:
    """One JSON document on stdout. Structs, dataclasses, dates (RFC 3339) and bytes (base64) are all right."""
    click.echo(msgspec.json.format(msgspec.json.encode(facts), indent=2).decode())


def print_json_line(facts: Any) -> None:
    """One line of JSON on stdout, for what follows a stream."""
    click.echo(msgspec.json.encode(facts).decode())


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], numbers: Sequence[str] = ()
) -> None:
    """A table on stdout. Columns named in `numbers` are aligned to the right; None is printed as a dash."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*("-" if cell is None else str(cell) for cell in row))
    console().print(table)


def show(as_json: bool, facts: Any, table: Callable[[], None]) -> None:
    """Prints facts as JSON, or calls `table` to print them for a person."""
    if as_json:
        print_json(facts)
    else:
        table()


def console() -> Console:
    """A console on stdout as it is now; markup is off, so that nothing printed is taken for a command to it."""
    # A file or a pipe has no width; rich would take 80 and break topic names.
    return Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)


def plain(value: object) -> str:
    """For a terminal: what a sender or another person wrote must not move its cursor or change its title."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in str(value))
