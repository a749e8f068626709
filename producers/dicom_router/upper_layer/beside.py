"""What goes on beside the thread of an association: operations that it does not wait for, and what others have to say.

Whatever it is, the association's thread says it on the connection, between two reads.
"""

from __future__ import annotations

from collections.abc import Callable

from producers.dicom_router.upper_layer import command_set
from producers.dicom_router.upper_layer.connection import Connection
from producers.dicom_router.upper_layer.messages import Message
from producers.dicom_router.upper_layer.negotiation import Accepted
from producers.dicom_router.upper_layer.notices import Notices
from producers.dicom_router.upper_layer.wake import Wake
from producers.dicom_router.upper_layer.window import Ahead, Window
from streams.sop_classes import STORAGE_COMMITMENT


class Beside:
    """`window` is there where several operations may be outstanding, `notices` where the peer may be told something.

    `attended` is called whenever something was said.
    """

    def __init__(self, connection: Connection, pdu_bytes_max: int, attended: Callable[[], None]) -> None:
        self.window: Window | None = None
        self.notices: Notices | None = None
        self.wake = Wake()
        self._connection = connection
        self._pdu_bytes_max = pdu_bytes_max
        self._attended = attended
        connection.attend(self.wake.descriptor, self.attend)

    @property
    def is_busy(self) -> bool:
        """Whether the peer waits for us."""
        return self.window is not None and self.window.is_busy

    def attend(self) -> None:
        self.wake.clear()
        if self.window is not None:
            self.window.settle()
        if self.notices is not None and (due := self.notices.due()):
            context_id, command, data_set = due
            for piece in command_set.pieces(context_id, command, data_set, self._pdu_bytes_max):
                self._connection.send(piece)
        self._attended()

    def finish(self) -> None:
        """Nothing more is asked of the peer; returns when all that it asked is answered. Raises as `Window.finish`."""
        if self.notices is not None:
            self.notices.close()
        if self.window is not None:
            self.window.finish()

    def close(self) -> None:
        """Returns when no other thread has anything to do with the association any more."""
        if self.notices is not None:
            self.notices.close()
        if self.window is not None:
            self.window.close()
        self._connection.attend_no_more()
        self.wake.close()


def beside(
    connection: Connection,
    accepted: Accepted,
    ahead: Ahead | None,
    perform: Callable[[Message], bytes],
    pdu_bytes_max: int,
    attended: Callable[[], None],
) -> Beside | None:
    """None for an association that does one thing after the other, as nearly all do. Raises OSError as `Wake`."""
    is_told = any(context.abstract_syntax == STORAGE_COMMITMENT for context in accepted.contexts.values())
    if not is_told and (ahead is None or accepted.operations_max == 1):
        return None
    made = Beside(connection, pdu_bytes_max, attended)
    if ahead is not None and accepted.operations_max > 1:
        made.window = Window(connection, ahead, accepted.operations_max, perform, made.wake, made.attend)
    if is_told:
        made.notices = Notices(made.wake.set)
    return made
