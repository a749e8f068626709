"""pynetdicom's two threads for each association, waiting instead of asking.

As they come, both look for work a thousand times a second, and a response goes from one to the other before it goes
out; at sixty images a second that costs more than the images. Here the thread that reads sleeps in `select`, the thread
that answers sleeps on its queue and writes its responses itself.
"""

from __future__ import annotations

import queue
import select
import threading
import time
from typing import Any, cast

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AssociationSocket

# The reading thread sends what the protocol has it send, a release's response above all, at least this often.
_READY_S = 0.01
# Timers and the end of an association are looked at this often, work or none.
_LOOK_S = 0.05
_PAUSE_S = 0.0002
_DATA_TRANSFER = "Sta6"  # PS3.8 table 9-4


class WaitingSocket(AssociationSocket):
    """`ready` returns when the peer sent something, or after a while."""

    @property
    def ready(self) -> bool:
        if self.socket is None or not self._is_connected:
            time.sleep(_READY_S)
            return False
        try:
            return bool(select.select([self.socket], [], [], _READY_S)[0])
        except (OSError, ValueError):
            self.event_queue.put("Evt17")  # transport connection closed
            return False


class _Prompt(DULServiceProvider):
    """Writes data at once. The state machine would do the same (action DT-1) and stay in the same state."""

    def send_pdu(self, primitive: Any) -> None:
        if isinstance(primitive, P_DATA) and self.state_machine.current_state == _DATA_TRANSFER:
            self._send(P_DATA_TF(primitive))
        else:
            super().send_pdu(primitive)


class _Inbox(queue.Queue[Any]):
    """Requests to answer. A `get` that must not block waits a little all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.nudged = threading.Event()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self.nudged.set()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if not block:
            if not self.queue:
                self.nudged.wait(_LOOK_S)
            self.nudged.clear()
        return super().get(block, timeout)


class _Notices(queue.Queue[Any]):
    """Releases and aborts, which the answering thread looks for between requests."""

    def __init__(self, inbox: _Inbox) -> None:
        super().__init__()
        self._inbox = inbox

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._inbox.nudged.set()


def wait_instead_of_asking(association: Association, kind: type[WaitingSocket]) -> None:
    """Changes an association before its threads start. pynetdicom makes its parts itself, so they change class."""
    inbox = _Inbox()
    association.dimse.msg_queue = inbox
    association.dul.to_user_queue = _Notices(inbox)
    association.dul.__class__ = _Prompt
    association.dul._run_loop_delay = _PAUSE_S
    cast(Any, association.dul.socket).__class__ = kind
