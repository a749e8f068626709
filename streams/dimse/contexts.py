"""Which presentation contexts a node is asked for (PS3.8 section 9.3.2.2).

One for each SOP class and transfer syntax, so that the node answers for each alone and the choice stays here: as it is
stored first, then what it can be written anew in without a loss.
"""

from __future__ import annotations

from collections import OrderedDict

from streams.recoding.native import SOURCES, TARGETS
from streams.store_scu import CONTEXTS_MAX

# SOP class and transfer syntax, as an instance is stored.
Stored = tuple[str, str]


def syntaxes(transfer_syntax: str) -> tuple[str, ...]:
    """In which an instance may be sent, the best first."""
    others = TARGETS if transfer_syntax in SOURCES else ()
    return (transfer_syntax, *(one for one in others if one != transfer_syntax))


class Wanted:
    """What was sent lately: an association is opened for all of it, and so serves what comes next."""

    def __init__(self) -> None:
        self._latest: OrderedDict[Stored, None] = OrderedDict()

    def note(self, stored: Stored) -> None:
        self._latest[stored] = None
        self._latest.move_to_end(stored)
        if len(self._latest) > CONTEXTS_MAX:
            self._latest.popitem(last=False)

    def contexts(self) -> list[tuple[str, str]]:
        """At most as many as an association can have; what was sent last is in."""
        found: dict[tuple[str, str], None] = {}
        for sop_class, transfer_syntax in reversed(self._latest):
            added = [(sop_class, one) for one in syntaxes(transfer_syntax) if (sop_class, one) not in found]
            if len(found) + len(added) <= CONTEXTS_MAX:
                found |= dict.fromkeys(added)
        return list(found)
