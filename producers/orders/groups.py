"""OMI^O23 and ORM^O01 as orders (HL7 v2.5.1 chapter 4; IHE RAD TF-2 section 4.4 and appendix B).

A group is an ORC with what follows it. In OMI each IPC of a group is a scheduled step; in ORM a group is one step, and
groups of one requested procedure are one order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from producers.orders import names
from producers.orders.config import Settings
from producers.orders.control import action_of, is_completed
from producers.orders.message import BadMessage, Message
from producers.orders.order import Action, Order, Priority, Said, Step
from producers.orders.patient import patient
from producers.orders.structure import Group, groups, two_studies
from producers.orders.words import of_procedure, of_step

# An order has 50 steps at most, and a message is of a few orders.
GROUPS_MAX = 200


@dataclass(frozen=True)
class _Whole:
    """What all orders of a message share, read once: a message may have a thousand groups, and as many allergies."""

    message: Message
    settings: Settings
    groups: Sequence[Group]

    @cached_property
    def patient(self) -> Said:
        return patient(self.message)

    @cached_property
    def last_study(self) -> str:
        """Of a ZDS that stands behind all groups; where one stands between them, each is of its own group alone."""
        if any(group.study for group in self.groups if group.orc is not self.groups[-1].orc):
            return ""
        return next((one.text(1) for one in reversed(self.message.segments) if one.name == "ZDS"), "")


def orders_of(message: Message, settings: Settings) -> list[Order]:
    """One for each requested procedure, in the order of the message; behind them what is completed. Raises BadMessage.

    None where the message tells of progress alone.
    """
    if message.first("PID") is None:
        raise BadMessage("101", "there is no PID segment")
    found = list(groups(message))
    if not found:
        raise BadMessage("101", "there is no ORC segment")
    if len(found) > GROUPS_MAX:
        raise BadMessage("207", f"the message has more than {GROUPS_MAX} ORC segments or requested procedures")
    known: dict[tuple[str, str, str], Order] = {}
    completed: dict[tuple[str, str, str], Order] = {}
    whole = _Whole(message, settings, found)
    for group in found:
        if (action := action_of(group.orc)) is None:
            continue
        order = _order(group, action, whole)
        named = (order.issuer, order.accession, order.procedure_id)
        if action != "completed":
            before = known.get(named)
            known[named] = order if before is None else _with(before, group, order)
        if action != "cancelled" and is_completed(group.orc):
            completed[named] = _completed(completed.get(named), group, order)
    return [*known.values(), *completed.values()]


def _with(before: Order, group: Group, order: Order) -> Order:
    """The last group has the last word, but on its own steps alone: an order is cancelled where no step is left.

    A group that cancels and names no step means all of them. Raises BadMessage.
    """
    if order.action != "cancelled":
        if before.study_uid and order.study_uid and before.study_uid != order.study_uid:
            raise two_studies()
        return replace(order, study_uid=order.study_uid or before.study_uid, steps=(*before.steps, *order.steps))
    if not any(_said_steps(group)):
        return order
    ended = _step_ids(group, order.procedure_id)
    left = tuple(step for step in before.steps if step.said["ScheduledProcedureStepID"] not in ended)
    return replace(before, steps=left) if left else order


def _completed(before: Order | None, group: Group, order: Order) -> Order:
    """What states its steps means those; what tells of progress alone, and names no step, means all of them."""
    states = order.action != "completed"
    ids = _step_ids(group, order.procedure_id) if states else [said for said in _said_steps(group) if said]
    steps = tuple(Step({"ScheduledProcedureStepID": step_id}) for step_id in ids)
    if before is not None:
        steps = (*before.steps, *steps) if before.steps and steps else ()
    return Order("completed", order.accession, order.procedure_id, order.issuer, order.in_full, steps=steps)


def _order(group: Group, action: Action, whole: _Whole) -> Order:
    settings = whole.settings
    accession, issuer = _accession(group, settings)
    said_id = _of_ipcs(group, 2) or names.verbatim(group.obr.text(19))
    in_full = bool(said_id) and _has_accession(group)
    order = Order(action, accession, said_id or accession, issuer, in_full)
    if action in ("cancelled", "completed"):
        return order
    said: Said = {**whole.patient, **of_procedure(group.orc, group.obr, group.notes)}
    return replace(
        order,
        priority=_priority(group, settings) or "routine",
        study_uid=names.plain(_of_ipcs(group, 3) or group.study or whole.last_study) or None,
        said=said,
        steps=tuple(_steps(group, order.procedure_id, settings)),
    )


def _of_ipcs(group: Group, number: int) -> str:
    """The first that says anything."""
    return next((text for ipc in group.ipcs if (text := names.verbatim(ipc.text(number)))), "")


def _has_accession(group: Group) -> bool:
    return group.numbered is not None or bool(names.verbatim(group.obr.text(18)))


def _accession(group: Group, settings: Settings) -> tuple[str, str]:
    """The number and its issuer: of the procedure, else the filler's, else the placer's order number."""
    for segment, number in ((group.numbered, 1), (group.obr, 18), (group.orc, 3), (group.orc, 2)):
        if segment is not None and (said := names.verbatim(segment.text(number))):
            return said, names.issuer_of(segment, number) or settings.issuer
    raise BadMessage("101", "there is no accession number: not in IPC-1, OBR-18, ORC-3 or ORC-2")


def _priority(group: Group, settings: Settings) -> Priority | None:
    said = (
        (group.tq1.text(9) if group.tq1 else "", "TQ1-9"),
        (group.obr.text(27, 6), "OBR-27"),
        (group.orc.text(7, 6), "ORC-7"),
    )
    found = (names.priority(text, settings.priorities, where) for text, where in said)
    return next((one for one in found if one is not None), None)


def _start(group: Group) -> tuple[str | None, str | None]:
    said = (
        (group.tq1.text(7) if group.tq1 else "", "TQ1-7"),
        (group.obr.text(36), "OBR-36"),
        (group.obr.text(27, 4), "OBR-27"),
        (group.orc.text(7, 4), "ORC-7"),
    )
    return next((names.moment(text, where) for text, where in said if text), (None, None))


def _said_steps(group: Group) -> list[str]:
    """One for each IPC, else the one in OBR; empty where it says none."""
    return [names.verbatim(text) for text in [ipc.text(4) for ipc in group.ipcs] or [group.obr.text(20)]]


def _step_ids(group: Group, procedure_id: str) -> list[str]:
    """A step that has none is named by its procedure."""
    return [said or procedure_id for said in _said_steps(group)]


def _steps(group: Group, procedure_id: str, settings: Settings) -> Iterator[Step]:
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
