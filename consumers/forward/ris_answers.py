"""What a status of N-CREATE or N-SET means for who forwards it (PS3.4 section F.7.2, PS3.7 annex C)."""

from __future__ import annotations

from typing import Final, Literal

from consumers.forward.ris import Action, Answer

Judgement = Literal["done", "known", "final", "warned", "busy", "refused"]

# Attribute list error, attribute value out of range: taken all the same.
_WARNINGS: Final = frozenset({0x0001, 0x0107, 0x0116})
_DUPLICATE_SOP_INSTANCE: Final = 0x0111
_PROCESSING_FAILURE, _RESOURCE_LIMITATION = 0x0110, 0x0213


def judged(action: Action, answer: Answer) -> Judgement:
    """'known': the step is there already. 'final': it is, and nothing more can be said of it. 'busy': try again."""
    if answer.status == 0x0000:
        return "done"
    if answer.status in _WARNINGS or answer.status >> 12 == 0xB:
        return "warned"
    if action == "created" and answer.status == _DUPLICATE_SOP_INSTANCE:
        return "known"
    if action == "set" and answer.is_final:
        return "final"
    return "busy" if answer.status in (_PROCESSING_FAILURE, _RESOURCE_LIMITATION) else "refused"
