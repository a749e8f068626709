"""What `radstream import` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from radstream.import_converting import Imported
from radstream.output import console, plain
from radstream.send import print_faults


@contextmanager
def converting_progress(total: int, *, shown: bool) -> Iterator[Callable[[], None]]:
    columns = (TextColumn("converting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown, transient=True) as progress:
        task = progress.add_task("converting", total=total)
        yield lambda: progress.advance(task)


def print_missing(things: list[str]) -> None:
    click.echo("radstream: nothing was imported; say also:", err=True)
    for thing in things:
        click.echo(f"  {plain(thing)}", err=True)


def print_imported(imported: Imported) -> None:
    out = console()
    for one in imported.files:
        if one.reason:
            out.print(f"{plain(one.file)}: not imported: {one.reason}", soft_wrap=True)
            continue
        objects = "1 object" if one.instances == 1 else f"{one.instances} objects"
        size = f"{one.bytes / 1e6:.1f} MB"
        out.print(f"{plain(one.file)}: {one.format}, {objects}, {size}, study {one.study_uid}", soft_wrap=True)
        for note in one.notes:
            out.print(f"  note: {note}", soft_wrap=True)
    done = sum(not one.reason for one in imported.files)
    objects_in_all = sum(one.instances for one in imported.files)
    what = f"{done} of {len(imported.files)} files imported as {objects_in_all} objects"
    if imported.out is not None:
        out.print(f"{what}, written to {plain(imported.out)}; send them: radstream send {plain(imported.out)}")
    elif imported.sent is None:
        out.print(f"{what}; nothing was sent")
    else:
        sent = imported.sent
        print_faults(sent, "object")
        out.print(f"{what}: {sent.acknowledged} acknowledged, {len(sent.refused)} refused, {len(sent.unsent)} not sent")
