"""Whose the segments of a message are: of one patient, and of each ORC one OBR at most (HL7 v2.5.1 section 4.4).

A message whose segments stand otherwise is refused as a whole: read on, an order would go to the patient of another, or
be left out without a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from producers.orders.control import action_of
from producers.orders.message import BadMessage, Message, Segment
from producers.orders.patient import of_pid

# Segment sequence error (table 0357).
_SEQUENCE: Final = "100"
# What says more of an ORC, and so stands behind it.
_OF_AN_ORDER: Final = frozenset(("OBR", "TQ1", "IPC"))
# Of IPC: accession number, requested procedure ID, Study Instance UID.
_NAMES_OF_PROCEDURE: Final = (1, 2, 3)


@dataclass
class Group:
    """An ORC with what follows it, as far as it is of one requested procedure.

    `numbered` is the IPC that says its accession number, or, where none does, the last one before it in the ORC that
    does, else the first behind it.
    """

    orc: Segment
    obr: Segment
    tq1: Segment | None = None
    ipcs: list[Segment] = field(default_factory=list)
    numbered: Segment | None = None
    notes: list[str] = field(default_factory=list)
    study: str = ""


def two_studies() -> BadMessage:
    return BadMessage("102", "a requested procedure has more than one Study Instance UID")


def groups(message: Message) -> Iterator[Group]:
    """In the order of a message that has a PID. Raises BadMessage."""
    _check_patient(message)
    _check_order(message)
    for group in _of_each_orc(message):
        yield from _of_each_procedure(group)


def _check_order(message: Message) -> None:
    orc: Segment | None = None
    obr_seen = False
    for segment in message.segments:
        if segment.name == "ORC":
            orc, obr_seen = segment, False
        elif segment.name in _OF_AN_ORDER and orc is None:
            raise BadMessage(_SEQUENCE, f"there is {segment.name} before the first ORC")
        elif segment.name == "OBR" and orc is not None:
            # What changes nothing here is no error, however it is said (`control`).
            if obr_seen and action_of(orc) is not None:
                raise BadMessage(_SEQUENCE, "there is more than one OBR behind an ORC: send an ORC for each")
            obr_seen = True


def _check_patient(message: Message) -> None:
    if sum(segment.name == "MSH" for segment in message.segments) > 1:
        raise BadMessage(_SEQUENCE, "there is more than one MSH: send each message in a frame of its own")
    # Some senders say the patient again before each order, with or without an address.
    first, *others = (segment for segment in message.segments if segment.name == "PID")
    # PID-1 numbers them. What is written alike is not read: a date that is none is nothing to who cancels.
    if any(one.fields[2:] != first.fields[2:] and of_pid(one) != of_pid(first) for one in others):
        raise BadMessage(_SEQUENCE, "a second PID says another patient or account: send a message for each")


def _of_each_orc(message: Message) -> Iterator[Group]:
    group: Group | None = None
    for segment in message.segments:
        if segment.name == "ORC":
            if group is not None:
                yield group
            group = Group(segment, Segment("OBR", (), segment.separators))
        elif group is not None:
            _add(group, segment)
    if group is not None:
        yield group


def _add(group: Group, segment: Segment) -> None:
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


def _of_each_procedure(group: Group) -> Iterator[Group]:
    """An ORC may have IPCs of several requested procedures (HL7 v2.5.1 section 4.5.6), each with a study of its own.

    What an IPC leaves out is as the one before it says. Raises BadMessage.
    """
    procedures: list[list[Segment]] = []
    said: dict[int, str] = {}
    for ipc in group.ipcs:
        says = {number: text for number in _NAMES_OF_PROCEDURE if (text := ipc.text(number).strip())}
        is_another = any(said.get(number, text) != text for number, text in says.items())
        if is_another and says.keys() == {3}:
            raise two_studies()
        if not procedures or is_another:
            procedures.append([])
            said = {}
        procedures[-1].append(ipc)
        said = says | said
    numbered = _numbered(group.ipcs)
    for ipcs in procedures or [[]]:
        numbered = _numbered(ipcs) or numbered
        yield replace(group, ipcs=ipcs, numbered=numbered)


def _numbered(ipcs: list[Segment]) -> Segment | None:
    return next((ipc for ipc in ipcs if ipc.text(1).strip()), None)
