"""The accounts of a site: what came in is what went out, and what is still on its way.

Pure functions over what was counted. An equation that does not hold means that something was lost, made up, or counted
while it moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from radstream.log_census import LogCensus
from radstream.store_census import StoreCensus


@dataclass(frozen=True)
class Term:
    what: str
    count: int


@dataclass(frozen=True)
class Equation:
    """`left` is the sum of `right`, or `agrees` is false."""

    name: str
    left: Term
    right: tuple[Term, ...]
    agrees: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "agrees", self.left.count == sum(term.count for term in self.right))

    def __str__(self) -> str:
        right = " + ".join(f"{term.count} {term.what}" for term in self.right)
        return f"{self.left.count} {self.left.what} = {right}"


def of_log(census: LogCensus, spooled: Set[str] | None = None) -> tuple[Equation, ...]:
    """What the topics say of each other. `spooled`: digests of what was on the router's spool before the log was read,
    None where no spool can be seen."""
    waiting = None if spooled is None else len(spooled - census.received)
    validated = census.in_use
    return (
        Equation(
            "requests",
            Term("arrivals and refusals", census.received_records + census.refused_total + (waiting or 0)),
            (
                Term("received", len(census.received)),
                Term("duplicates", census.duplicates),
                Term("refused", census.refused_total),
                *(() if waiting is None else (Term("on the spool", waiting),)),
            ),
        ),
        Equation(
            "validate",
            Term("received", len(census.received)),
            (
                Term("validated", len(validated)),
                Term("quarantined", len(census.quarantined)),
                *_waiting(census, "validate", census.received - validated - census.quarantined),
            ),
        ),
        Equation(
            "derive",
            Term("validated", len(validated)),
            (Term("derived", len(validated & census.derived)), *_waiting(census, "derive", validated - census.derived)),
        ),
    )


def _waiting(census: LogCensus, group: str, open_: Set[str]) -> tuple[Term, ...]:
    """Why each subject without a result has none: each is counted once, by the first reason."""
    dead = open_ & census.dead_letters[group]
    parked = (open_ & census.parked[group]) - dead
    in_flight = (open_ & census.unread[group]) - parked - dead
    return (
        Term("in flight", len(in_flight)),
        Term(f"parked by {group}", len(parked)),
        Term(f"dead letters of {group}", len(dead)),
    )


def of_store(log: LogCensus, store: StoreCensus, moved_since: Set[str] = frozenset()) -> tuple[Equation, ...]:
    """Every object that an event refers to is in a store. `moved_since`: studies that moved after the log was read."""
    return (
        *(
            Equation(
                f"{kind} objects",
                Term(f"{kind} objects referred to by events", len(wanted)),
                (Term("of them in a store", len(wanted & held)),),
            )
            for kind, wanted, held in (
                ("original", log.original_keys, store.originals.keys()),
                ("derived", log.derived_keys, store.derived.keys()),
                ("protected", log.protected_keys, store.protected.keys()),
            )
        ),
        _copies(log, store, moved_since),
    )


def _copies(log: LogCensus, store: StoreCensus, moved_since: Set[str]) -> Equation:
    """What moves have read back is where they say, or is being released by the next step of a move."""
    wanted, held = log.verified_copies(), store.held()
    moving = log.releasing() | moved_since
    absent = [study for copy, study in wanted.items() if copy not in held]
    return Equation(
        "verified copies",
        Term("verified copies stated by moves", len(wanted)),
        (
            Term("of them in their stores", len(wanted) - len(absent)),
            Term("in flight", sum(study in moving for study in absent)),
        ),
    )


def of_catalog(log: LogCensus, rows: Mapping[str, int]) -> tuple[Equation, ...]:
    """Every event is a row, or on its way. `rows` is the number of distinct events by logical topic."""
    return tuple(
        Equation(
            f"catalog of {topic}",
            Term("distinct events", len(log.events[topic])),
            (Term("in the catalog", count), Term("in flight", log.events_unread_by_catalog(topic))),
        )
        for topic, count in sorted(rows.items())
    )
