"""What the rules would do with one instance, and why."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from schemas import Lane
from streams.events import Outside
from streams.routes.matching import Facts, applying, forwarding, lane, outside
from streams.routes.routes import Routes


class To(msgspec.Struct, frozen=True):
    """Whether an instance would go to a destination, by these rules, or would be kept from it by them."""

    destination: str
    forwarded: bool
    rules: tuple[str, ...]


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
            if one.forwarded:
                yield f"forward to {one.destination} ({', '.join(one.rules)})"
            elif one.rules:
                yield f"not to {one.destination} ({', '.join(one.rules)})"
        if self.lane is not None:
            yield f"lane {self.lane}"
        if self.tags:
            yield f"tags {', '.join(self.tags)}"
        for rule in self.holds:
            yield f"hold its study ({rule})"
        if self.outside is not None:
            yield f"from outside, patients numbered by {self.outside.issuer} ({self.outside.rule})"


def tried(routes: Routes, name: str, facts: Facts) -> Tried:
    """`facts` have the file, so nothing is undecided."""
    rules = applying(routes.rules, facts) or ()
    decided = {one: forwarding(routes.about(one), one, facts) for one in routes.destinations}
    return Tried(
        file=name,
        rules=tuple(rule.name for rule in rules),
        to=tuple(To(one, found.wanted, found.rules) for one, found in decided.items() if found is not None),
        lane=lane(routes.rules, facts),
        tags=tuple(dict.fromkeys(tag for rule in rules for tag in rule.tag)),
        holds=tuple(rule.name for rule in rules if rule.hold),
        outside=outside(routes.rules, facts),
    )
