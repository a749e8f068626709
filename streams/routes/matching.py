"""What the rules say of one instance. A rule that looks at tags is undecided until the bytes are there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas import Lane
from streams.events import InstanceValidated, Outside
from streams.part10 import Part10
from streams.routes.conditions import Condition
from streams.routes.rules import Rule
from streams.routes.values import values_of


@dataclass(frozen=True)
class Facts:
    """What is known of an instance. None is not known: no pattern fits it. `file` is its bytes, once they were read.

    Modality and body part are the defined terms that the router took into the event, not free text.
    """

    calling_ae: str | None = None
    called_ae: str | None = None
    modality: str | None = None
    body_part: str | None = None
    sop_class: str | None = None
    transfer_syntax: str | None = None
    file: Part10 | None = None

    def values(self, condition: Condition) -> tuple[str, ...] | None:
        """None where only the bytes can tell."""
        if condition.tag is not None:
            return None if self.file is None else values_of(self.file, condition.tag)
        value = getattr(self, condition.name)
        return () if value is None else (value,)


def facts_of(event: InstanceValidated, file: Part10 | None = None) -> Facts:
    return Facts(
        calling_ae=event.source.calling_ae if event.source else None,
        called_ae=event.source.called_ae if event.source else None,
        modality=event.technical.modality,
        body_part=event.technical.body_part,
        sop_class=event.instance.sop_class_uid,
        transfer_syntax=event.instance.transfer_syntax_uid,
        file=file,
    )


def holding(conditions: Iterable[Condition], facts: Facts) -> bool | None:
    """Whether all of them hold; None where only the bytes can tell."""
    known = [None if (values := facts.values(one)) is None else one.holds(values) for one in conditions]
    if False in known:
        return False
    return None if None in known else True


@dataclass(frozen=True)
class Compiled:
    """A rule and its conditions, ready to be tried."""

    rule: Rule
    conditions: tuple[Condition, ...]

    def applies(self, facts: Facts) -> bool | None:
        """None where only the bytes can tell."""
        return holding(self.conditions, facts)


@dataclass(frozen=True)
class Forwarding:
    """Whether an instance goes to a destination, and by which rules it does, or does not."""

    wanted: bool
    rules: tuple[str, ...]


def forwarding(rules: Iterable[Compiled], destination: str, facts: Facts) -> Forwarding | None:
    """None where only the bytes can tell. A rule that forbids wins, wherever it stands in the file."""
    found = [(one.rule, one.applies(facts)) for one in rules]
    forbids = [(rule, applies) for rule, applies in found if destination in rule.do_not_forward]
    if by := tuple(rule.name for rule, applies in forbids if applies):
        return Forwarding(False, by)
    asks = [(rule, applies) for rule, applies in found if destination in rule.forward]
    if not any(applies is not False for _, applies in asks):
        return Forwarding(False, ())
    if any(applies is None for _, applies in (*forbids, *asks)):
        return None
    return Forwarding(True, tuple(rule.name for rule, applies in asks if applies))


def applying(rules: Iterable[Compiled], facts: Facts) -> tuple[Rule, ...] | None:
    """The rules whose conditions all hold; None where only the bytes can tell."""
    found = [(one.rule, one.applies(facts)) for one in rules]
    if any(applies is None for _, applies in found):
        return None
    return tuple(rule for rule, applies in found if applies)


def lane(rules: Iterable[Compiled], facts: Facts) -> Lane | None:
    """The lane that the first rule with one gives, which needs no bytes (`streams.routes.reading`)."""
    return next((one.rule.lane for one in rules if one.rule.lane is not None and one.applies(facts)), None)


def outside(rules: Iterable[Compiled], facts: Facts) -> Outside | None:
    """What the first rule that says so says: it was made elsewhere. It needs no bytes, like a lane."""
    found = (one.rule for one in rules if one.rule.outside is not None and one.applies(facts))
    return next((Outside(rule=rule.name, issuer=rule.outside or "") for rule in found), None)
