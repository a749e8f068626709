"""What the rounds come to, for a person and for a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.rounds.accounting import Accounts
from tests.rounds.senders import Notes

_SHOWN_MAX = 20


@dataclass(frozen=True)
class Report:
    """`faults` counts rounds by fault; a round with two of them counts for both. `left_out` says what could not be."""

    seed: int
    rounds: int
    seconds: float
    faults: Mapping[str, int]
    left_out: str
    associations: int
    associations_in_vain: int
    requests: int
    again: int
    other_content: int
    answers: Mapping[str, int]
    acknowledged_by: Mapping[str, int]
    acknowledged: int
    events: int
    records: int
    objects: int
    rows: int
    lost: int
    second_rows: int
    torn_objects: int
    findings: tuple[str, ...]


def report(
    notes: Notes, faults: Counter[str], accounts: Accounts, rounds: int, seconds: float, left_out: str
) -> Report:
    return Report(
        seed=notes.seed,
        rounds=rounds,
        seconds=round(seconds, 1),
        faults=dict(sorted(faults.items())),
        left_out=left_out,
        associations=notes.associations,
        associations_in_vain=notes.in_vain,
        requests=notes.answers.total(),
        again=notes.again,
        other_content=notes.other_content,
        answers=dict(sorted(notes.answers.items())),
        acknowledged_by=dict(sorted(notes.of_title.items())),
        acknowledged=accounts.acknowledged,
        events=accounts.events,
        records=accounts.records,
        objects=accounts.objects,
        rows=accounts.rows,
        lost=len(accounts.lost),
        second_rows=len(accounts.second_rows),
        torn_objects=len(accounts.torn),
        findings=tuple(accounts.findings[:_SHOWN_MAX]),
    )


def shown(said: Report) -> str:
    """A table as text."""
    lines = [
        ("rounds", f"{said.rounds} in {said.seconds:.0f} s, seed {said.seed}"),
        *((f"  {name}", f"{count}") for name, count in said.faults.items()),
        ("left out", said.left_out or "nothing"),
        ("associations", f"{said.associations:,}, and {said.associations_in_vain:,} tries in vain"),
        ("requests", f"{said.requests:,}: {said.again:,} the same again, {said.other_content:,} with other content"),
        *((f"  answered {status}", f"{count:,}") for status, count in said.answers.items()),
        *((f"  acknowledged to {title}", f"{count:,}") for title, count in said.acknowledged_by.items()),
        ("acknowledged instances", f"{said.acknowledged:,}"),
        ("in the log", f"{said.events:,} events in {said.records:,} records"),
        ("in the store", f"{said.objects:,} objects"),
        ("in the catalog", f"{said.rows:,} rows"),
        ("acknowledged and lost", f"{said.lost}"),
        ("second rows", f"{said.second_rows}"),
        ("torn objects", f"{said.torn_objects}"),
    ]
    return table(lines, said.findings)


def table(lines: Sequence[tuple[str, str]], findings: Iterable[str]) -> str:
    """Names and values below each other, and what was found below them."""
    width = max(len(name) for name, _ in lines)
    return "\n".join([*(f"{name:<{width}}  {value}" for name, value in lines), *findings])
