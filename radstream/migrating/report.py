"""The report of a migration: a line of CSV for each study, UIDs and counts alone."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from radstream.errors import Failure
from radstream.migrating.journal import Entry

COLUMNS: Final = (
    *("study", "state", "said", "listed", "here", "held", "unlisted", "failed", "moves", "attempts", "seconds"),
    *("reason", "missing", "elsewhere"),
)


@contextmanager
def report(path: Path | None) -> Iterator[Callable[[Entry], None]]:
    """Writes a line as each study is settled; without a path none. Raises Failure where the file cannot be written."""
    if path is None:
        yield lambda _: None
        return
    try:
        file = path.open("w", newline="", encoding="utf-8")
    except OSError as error:
        raise Failure(f"{path}: cannot be written ({error.strerror}); choose another file for --report") from None
    with file:
        lines = csv.writer(file)
        lines.writerow(COLUMNS)
        yield lambda entry: lines.writerow(map(_cell, (getattr(entry, column) for column in COLUMNS)))


def _cell(value: object) -> object:
    """Several UIDs stand in one cell, with spaces between them."""
    return " ".join(value) if isinstance(value, tuple) else value
