"""What a common order segment asks for (HL7 v2.5.1 section 4.5.1; IHE RAD TF-2 sections 4.4 and 4.13)."""

from __future__ import annotations

from typing import Final

from producers.orders.message import BadMessage, Segment
from producers.orders.order import Action

# ORC-1 (table 0119).
_ACTIONS: Final[dict[str, Action]] = {
    "NW": "placed",
    "XO": "changed",
    "XX": "changed",
    "CA": "cancelled",
    "DC": "cancelled",
    "OC": "cancelled",
    "OD": "cancelled",
}
# That a status changed, or what it is. Of ORC-5 (table 0038) matters what ends an order: with all else it goes on.
_STATUS: Final = frozenset(("SC", "SR"))
_COMPLETED: Final = "CM"
_ENDED: Final[dict[str, Action]] = {"CA": "cancelled", "DC": "cancelled", "RP": "cancelled", _COMPLETED: "completed"}
# Numbers that are asked for or given, and orders that were accepted: what is to be done stays as it is.
_NOTHING: Final = frozenset(("SN", "NA", "OK"))


def action_of(orc: Segment) -> Action | None:
    """None for what changes nothing of what is to be done. Raises BadMessage for what is not known.

    A RIS tells of progress that is nothing to us; a sender that stops at an AE would keep its new orders back.
    """
    control = orc.text(1).upper()
    if control in _STATUS:
        return _ENDED.get(orc.text(5).upper())
    action = _ACTIONS.get(control)
    if action is None and control not in _NOTHING:
        raise BadMessage("103", f"ORC-1 is not one of {', '.join((*_ACTIONS, *sorted(_STATUS | _NOTHING)))}")
    return action


def is_completed(orc: Segment) -> bool:
    """Whether all is done of what the segment is about, whatever else it asks for."""
    return orc.text(5).upper() == _COMPLETED
