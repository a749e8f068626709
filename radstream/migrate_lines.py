"""What a migration shows while it runs, and what it says in the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from radstream.migrating.journal import Entry
from radstream.migrating.run import Tally
from radstream.migrating.windows import Window
from radstream.output import console, print_table

_SHOWN_MAX: Final = 50


class Shown:
    """The bar goes over the days, because nobody knows how many studies there are before the last was found; over the
    studies where they are named."""

    def __init__(self, progress: Progress, days: int, named: int) -> None:
        self._progress = progress
        self._named = named
        self._task = progress.add_task("migrating", total=named or days, what="")
        self._studies = self._undone = 0

    def on_window(self, window: Window) -> None:
        self._progress.advance(self._task, (window.last - window.first).days + 1)

    def on_study(self, entry: Entry) -> None:
        self._studies += 1
        self._undone += entry.state in ("short", "failed")
        self._progress.update(
            self._task, advance=bool(self._named), what=f"{self._studies} studies, {self._undone} not complete"
        )

    def say(self, text: str) -> None:
        click.echo(text, err=True)


@contextmanager
def progress(days: int, named: int, *, shown: bool) -> Iterator[Shown]:
    """A bar on stderr over so many days of study dates, or so many studies that were named."""
    columns = (TextColumn("migrating"), BarColumn(), TextColumn("{task.fields[what]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not (shown and sys.stderr.isatty())) as bar:
        yield Shown(bar, days, named)


def is_complete(tally: Tally, unproven: Sequence[Window]) -> bool:
    """Whether every instance that the old PACS has is known to be here."""
    return not unproven and not tally.states["short"] and not tally.states["failed"]


def facts_of(tally: Tally, unproven: Sequence[Window], by_time: Sequence[Window]) -> dict[str, Any]:
    return {
        "complete": is_complete(tally, unproven) and not tally.stopped,
        "stopped": tally.stopped or None,
        "studies": dict(tally.states),
        "done_before": tally.before,
        "instances": {"listed": tally.listed, "here": tally.here, "held": tally.held},
        "retrievals": tally.moves,
        "unproven": [str(window) for window in unproven],
        "by_time": [str(window) for window in by_time],
        "differences": tally.undone,
    }


def print_result(tally: Tally, unproven: Sequence[Window], by_time: Sequence[Window]) -> None:
    if tally.undone:
        print_table("Differences", ("study", "state", "missing", "reason"), _rows(tally.undone[:_SHOWN_MAX]))
        if len(tally.undone) > _SHOWN_MAX:
            console().print(f"and {len(tally.undone) - _SHOWN_MAX} more: --report FILE or --json lists all")
    for window in unproven:
        console().print(
            f"{window}: it may have more studies than the old PACS showed; have its limit of answers raised, or name "
            "them with --study"
        )
    if by_time:
        days = ", ".join(f"{window.first:%Y-%m-%d}" for window in by_time)
        console().print(
            f"note: it has more studies on a day than it answers at once. Those without a study time are not found on "
            f"{days}; name them with --study",
            soft_wrap=True,
        )
    states = ", ".join(f"{count} {state}" for state, count in sorted(tally.states.items())) or "no studies"
    console().print(
        f"{states}; {tally.here} of {tally.listed} instances are in the catalog, {tally.held} of them held; "
        f"{tally.moves} retrievals, {tally.before} studies done before",
        soft_wrap=True,
    )


def _rows(entries: Sequence[Entry]) -> list[tuple[object, ...]]:
    return [
        (
            one.study,
            one.state,
            len(one.missing) + one.unlisted + one.failed,
            one.reason or f"{len(one.elsewhere)} in another study",
        )
        for one in entries
    ]
