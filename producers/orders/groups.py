"""OMI^O23 and ORM^O01 as orders (HL7 v2.5.1 chapter 4; IHE RAD TF-2 section 4.4 and appendix B).

A group is an ORC with what follows it. In OMI each IPC of a group is a scheduled step; in ORM a group is one step, and
groups of one requested procedure are one order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from producers.orders import names
from producers.orders.config import Settings
from producers.orders.message import BadMessage, Message, Segment
from producers.orders.order import Action, Order, Priority, Said, Step
from producers.orders.patient import patient
from producers.orders.words import of_procedure, of_step

# ORC-1 (table 0119). What a RIS says of an order's progress (SC) matters where it ends the order.
_ACTIONS: dict[str, Action] = {
    "NW": "placed",
    "XO": "changed",
    "XX": "changed",
    "CA": "cancelled",
    "DC": "cancelled",
    "OC": "cancelled",
    "OD": "cancelled",
}
_ENDED = frozenset(("CA", "DC"))
# An order has 50 steps at most, and a message is of a few orders.
GROUPS_MAX = 200


@dataclass(frozen=True)
class _Whole:
    """What all orders of a message share, read once: a message may have a thousand groups, and as many allergies."""

    message: Message
    settings: Settings

    @cached_property
    def patient(self) -> Said:
        return patient(self.message)

    @cached_property
    def last_study(self) -> str:
        """Of a ZDS that stands behind all groups."""
        return next((one.text(1) for one in reversed(self.message.segments) if one.name == "ZDS"), "")


@dataclass
class _Group:
    orc: Segment
    obr: Segment
    tq1: Segment | None = None
    ipcs: list[Segment] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    study: str = ""


def orders_of(message: Message, settings: Settings) -> list[Order]:
    """One for each requested procedure, in the order of the message. Raises BadMessage."""
    if message.first("PID") is None:
        raise BadMessage("101", "there is no PID segment")
    groups = list(_groups(message))
    if not groups:
        raise BadMessage("101", "there is no ORC segment")
    if len(groups) > GROUPS_MAX:
        raise BadMessage("207", f"the message has more than {GROUPS_MAX} ORC segments")
    known: dict[tuple[str, str, str], Order] = {}
    whole = _Whole(message, settings)
    for group in groups:
        order = _order(group, whole)
        named = (order.issuer, order.accession, order.procedure_id)
        before = known.get(named)
        known[named] = order if before is None else _with(before, group, order)
    return list(known.values())


def _with(before: Order, group: _Group, order: Order) -> Order:
    """The last group has the last word, but on its own steps alone: an order is cancelled where no step is left.

    A group that cancels and names no step means all of them.
    """
    if order.action != "cancelled":
        return replace(order, steps=(*before.steps, *order.steps))
    if not any(_said_steps(group)):
        return order
    ended = _step_ids(group, order.procedure_id)
    left = tuple(step for step in before.steps if step.said["ScheduledProcedureStepID"] not in ended)
    return replace(before, steps=left) if left else order


def _groups(message: Message) -> Iterator[_Group]:
    group: _Group | None = None
    for segment in message.segments:
        if segment.name == "ORC":
            if group is not None:
                yield group
            group = _Group(segment, Segment("OBR", (), segment.separators))
        elif group is not None:
            _add(group, segment)
    if group is not None:
        yield group


def _add(group: _Group, segment: Segment) -> None:
    match segment.name:
        case "OBR":
            group.obr = segment
        case "TQ1" if group.tq1 is None:
            group.tq1 = segment
        case "IPC":
            group.ipcs.append(segment)
        case "NTE":
            group.notes += [one.text() for one in segment.repeats(3)]
        case "ZDS":  # IHE's own, in ORM
            group.study = segment.text(1)


def _order(group: _Group, whole: _Whole) -> Order:
    settings = whole.settings
    action = _action(group.orc)
    accession, issuer = _accession(group, settings)
    first = group.ipcs[0] if group.ipcs else Segment("IPC", (), group.orc.separators)
    said_id = names.plain(first.text(2) or group.obr.text(19))
    in_full = bool(said_id) and _has_accession(group)
    order = Order(action, accession, said_id or accession, issuer, in_full)
    if action == "cancelled":
        return order
    said: Said = {**whole.patient, **of_procedure(group.orc, group.obr, group.notes)}
    return replace(
        order,
        priority=_priority(group, settings) or "routine",
        study_uid=names.plain(first.text(3) or group.study or whole.last_study) or None,
        said=said,
        steps=tuple(_steps(group, order.procedure_id, settings)),
    )


def _action(orc: Segment) -> Action:
    control = orc.text(1).upper()
    if control == "SC" and orc.text(5).upper() in _ENDED:
        return "cancelled"
    action = _ACTIONS.get(control)
    if action is None:
        raise BadMessage("103", "ORC-1 is not one of NW, XO, XX, CA, DC, OC, OD, or SC with ORC-5 CA or DC")
    return action


def _has_accession(group: _Group) -> bool:
    return any(names.plain(text) for text in (*(ipc.text(1) for ipc in group.ipcs), group.obr.text(18)))


def _accession(group: _Group, settings: Settings) -> tuple[str, str]:
    """The number and its issuer: of the procedure, else the filler's, else the placer's order number."""
    for segment, number in (*((ipc, 1) for ipc in group.ipcs), (group.obr, 18), (group.orc, 3), (group.orc, 2)):
        if said := names.plain(segment.text(number)):
            return said, names.issuer_of(segment, number) or settings.issuer
    raise BadMessage("101", "there is no accession number: not in IPC-1, OBR-18, ORC-3 or ORC-2")


def _priority(group: _Group, settings: Settings) -> Priority | None:
    said = (
        (group.tq1.text(9) if group.tq1 else "", "TQ1-9"),
        (group.obr.text(27, 6), "OBR-27"),
        (group.orc.text(7, 6), "ORC-7"),
    )
    found = (names.priority(text, settings.priorities, where) for text, where in said)
    return next((one for one in found if one is not None), None)


def _start(group: _Group) -> tuple[str | None, str | None]:
    said = (
        (group.tq1.text(7) if group.tq1 else "", "TQ1-7"),
        (group.obr.text(36), "OBR-36"),
        (group.obr.text(27, 4), "OBR-27"),
        (group.orc.text(7, 4), "ORC-7"),
    )
    return next((names.moment(text, where) for text, where in said if text), (None, None))


def _said_steps(group: _Group) -> list[str]:
    """One for each IPC, else the one in OBR; empty where it says none."""
    return [names.plain(text) for text in [ipc.text(4) for ipc in group.ipcs] or [group.obr.text(20)]]


def _step_ids(group: _Group, procedure_id: str) -> list[str]:
    """A step that has none is named by its procedure."""
    return [said or procedure_id for said in _said_steps(group)]


def _steps(group: _Group, procedure_id: str, settings: Settings) -> Iterator[Step]:
    day, clock = _start(group)
    step_ids = _step_ids(group, procedure_id)
    if not group.ipcs:
        modality = names.plain(group.obr.text(24)).upper()
        said = of_step(group.obr, None, step_ids[0])
        yield Step(said, modality or None, settings.stations.get(modality, ()), day, clock)
        return
    for ipc, step_id in zip(group.ipcs, step_ids, strict=True):
        modality = names.plain(ipc.text(5)).upper()
        titles = tuple(text for one in ipc.repeats(9) if (text := one.text().strip()))
        said = of_step(group.obr, ipc, step_id)
        yield Step(said, modality or None, titles or settings.stations.get(modality, ()), day, clock)
