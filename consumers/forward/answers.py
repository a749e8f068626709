"""What a status of C-STORE means for who sent it (PS3.4 table B.2-1, PS3.7 annex C)."""

from __future__ import annotations

from typing import Literal

Judgement = Literal["done", "warned", "full", "busy", "refused"]

_WARNINGS = frozenset({0x0001, 0x0107, 0x0116})
# The node has it already: sent twice, it is there once.
DUPLICATE_SOP_INSTANCE = 0x0111
_PROCESSING_FAILURE, _RESOURCE_LIMITATION = 0x0110, 0x0213


def judged(status: int) -> Judgement:
    """'full': everybody waits. 'busy': this one waits. 'refused': trying again does not help."""
    if status == 0x0000:
        return "done"
    if status in _WARNINGS or status >> 12 == 0xB or status == DUPLICATE_SOP_INSTANCE:
        return "warned"
    if status >> 8 == 0xA7:
        return "full"
    return "busy" if status in (_PROCESSING_FAILURE, _RESOURCE_LIMITATION) else "refused"
