"""What a reconciliation says in the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

import click

from producers.dicom_router.reconciling.reconciling import Counts, Difference, Kind, Reconciling
from radstream.output import console, plain, print_table

# All are counted, and so many of each kind are named: a report is to be read, and memory is bounded.
NAMED_MAX: Final = 1000
_SHOWN_MAX: Final = 50
# What is left to a person. The others are mended, or harmless and noted.
_LEFT: Final[tuple[Kind, ...]] = ("lost", "damaged", "unpublished", "misplaced")
_MEANING: Final[dict[Kind, str]] = {
    "lost": "the log announced them and no store has them: restore them from a backup, or have them sent again; "
    "who deleted them is in the store's own log",
    "damaged": "they were never announced, nobody was told that they are safe, and they stand in the way of the same "
    "image: keep them elsewhere, delete exactly that version from the bucket, and have the image sent again",
    "unpublished": "a crash came between the object and its event: radstream reconcile --publish",
    "misplaced": "under another key than the router's, or in another store than hot, without an event: find out who "
    "put them there",
    "published": "they have their event now; radstream study shows them",
    "made": "a step stored them for a result that another process stored first: they do no harm",
    "foreign": "nothing of ours has such keys: find out who writes into this bucket",
}


@dataclass(frozen=True)
class Report:
    """`differences` counts by kind; `named` has the first of each kind. `agree`: nothing is left for a person."""

    agree: bool
    publish: bool
    counts: Counts
    differences: dict[Kind, int]
    named: list[Difference]

    @staticmethod
    def of(found: Reconciling, *, publish: bool) -> Report:
        """Runs it. Raises as `Reconciling.run`."""
        tally: Counter[Kind] = Counter()
        named: list[Difference] = []
        for one in found.run():
            tally[one.kind] += 1
            if tally[one.kind] <= NAMED_MAX:
                named.append(one)
        agree = not any(tally[kind] for kind in _LEFT)
        return Report(agree, publish, found.counts, dict(tally), named)


def print_report(report: Report) -> None:
    for kind in _MEANING:
        if count := report.differences.get(kind, 0):
            rows = [(one.store, plain(one.key), one.size, one.detail) for one in report.named if one.kind == kind]
            print_table(f"{count} {kind}", ("store", "key", "bytes", "what"), rows[:_SHOWN_MAX], numbers=("bytes",))
            if count > _SHOWN_MAX:
                console().print(f"and {count - _SHOWN_MAX} more: --json names {NAMED_MAX} of each kind")
            console().print(f"{kind}: {_MEANING[kind]}", soft_wrap=True)
    counts = report.counts
    click.echo(f"{counts.events} received events, {counts.objects} objects in the stores")
    for count, what in (
        (counts.on_spool, "instances wait on the spool for their event"),
        (counts.spool_and_log, "instances are on the spool and in the log: the drain will note them"),
        (counts.in_flight, "objects without an event are too young to be meant"),
        (counts.undecodable, "records in the topics of received events cannot be read"),
    ):
        if count:
            click.echo(f"{count} {what}")
    click.echo("bucket, spool and log agree" if report.agree else "bucket, spool and log do not agree")
