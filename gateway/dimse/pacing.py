"""How fast may be sent: pynetdicom takes whatever it is given into memory, however slowly its peer reads."""

from __future__ import annotations

import time
from typing import Any, Final

# P-DATA that waits to be written: an object is never there twice.
_WAITING_MAX: Final = 16
_PAUSE_S: Final = 0.001


class Gone(Exception):
    """The association is over, or its peer does not go on."""


def is_gone(association: Any) -> bool:
    """Sta6 is the state of an association that is there (PS3.8 table 9-10)."""
    return not association.dul.is_alive() or association.dul.state_machine.current_state != "Sta6"


def wait_for_room(association: Any, silence_s_max: float) -> float:
    """Until little waits to be written; how many seconds that took. Raises Gone where the peer takes nothing for so
    long."""
    queue, began_s = association.dul.to_provider_queue, time.monotonic()
    waiting, until_s = queue.qsize(), began_s + silence_s_max
    while waiting >= _WAITING_MAX:
        if is_gone(association) or time.monotonic() > until_s:
            raise Gone
        time.sleep(_PAUSE_S)
        if (now := queue.qsize()) < waiting:
            until_s = time.monotonic() + silence_s_max
        waiting = now
    return time.monotonic() - began_s
