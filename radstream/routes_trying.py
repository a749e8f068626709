"""What the rules would do with one instance, and why."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from schemas import Lane
from streams.events import Outside
from streams.routes.matching import Facts, Forwarding, applying, forwarding, lane, outside
from streams.routes.routes import Routes


class To(msgspec.Struct, frozen=True):
    """Whether an instance would go to a destination, by these rules, or would be kept from it by them.

    With `once_reconciled` it waits until a person has said whose its study is here, and is then forwarded.
    """

    destination: str
    forwarded: bool
    rules: tuple[str, ...]
    once_reconciled: bool = False


class Tried(msgspec.Struct, frozen=True):
    """`lane` is None where no rule gives one: then that of [router] lanes, else routine. `holds` are rules by name."""

    file: str
    rules: tuple[str, ...]
    to: tuple[To, ...]
    lane: Lane | None
    tags: tuple[str, ...]
    holds: tuple[str, ...]
    outside: Outside | None

    def lines(self) -> Iterator[str]:
        yield f"rules that fit: {', '.join(self.rules) or 'none'}"
        for one in self.to:
            by = ", ".join(one.rules)
            if one.forwarded:
                yield f"forward to {one.destination} ({by})"
            elif one.once_reconciled:
                yield f"forward to {one.destination} once it is reconciled ({by}); see: radstream imports"
            elif one.rules:
                yield f"not to {one.destination} ({by})"
        if self.lane is not None:
            yield f"lane {self.lane}"
        if self.tags:
            yield f"tags {', '.join(self.tags)}"
        for rule in self.holds:
            yield f"hold its study ({rule})"
        if self.outside is not None:
            yield f"from outside, patients numbered by {self.outside.issuer} ({self.outside.rule})"


class Unread(msgspec.Struct, frozen=True):
    """A file that the rules cannot be tried with."""

    file: str
    unread: str

    def lines(self) -> Iterator[str]:
        yield f"not tried: {self.unread}"


def tried(routes: Routes, name: str, facts: Facts) -> Tried:
    """`facts` have the file, so nothing is undecided."""
    rules, came = applying(routes.rules, facts) or (), outside(routes.rules, facts)
    decided = {one: forwarding(routes.about(one), one, facts) for one in routes.destinations}
    return Tried(
        file=name,
        rules=tuple(rule.name for rule in rules),
        to=tuple(
            _to(one, found, came is not None and routes.destinations[one].outside == "reconciled")
            for one, found in decided.items()
            if found is not None
        ),
        lane=lane(routes.rules, facts),
        tags=tuple(dict.fromkeys(tag for rule in rules for tag in rule.tag)),
        holds=tuple(rule.name for rule in rules if rule.hold),
        outside=came,
    )


def _to(destination: str, found: Forwarding, waits: bool) -> To:
    return To(destination, found.wanted and not waits, found.rules, once_reconciled=found.wanted and waits)
