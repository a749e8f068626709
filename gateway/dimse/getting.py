"""C-STORE sub-operations of a C-GET: on the association that asked, where its requestor is a storage SCP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.presentation import build_context

from gateway.dimse.pacing import Gone, wait_for_room
from gateway.dimse.reading import Reading
from gateway.dimse.selecting import Wanted
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from streams.sop_classes import NOT_STORABLE, OTHER_SERVICES
from streams.store_scu import command_set

# What can be sent of everything that is not lossy comes first: pynetdicom takes the first of ours that is proposed.
_FIRST: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
_COMMAND_LAST, _DATA, _DATA_LAST = b"\3", b"\0", b"\2"
_PDU_BYTES_MAX: Final = 1 << 17


def offer(event: evt.Event) -> None:
    """Bound to EVT_REQUESTED: who proposes to be SCP of a storage SOP class is taken at its word (PS3.7 D.3.3.4)."""
    association: Any = event.assoc
    taken = {str(uid) for uid, role in association.requestor.role_selection.items() if role.scp_role}
    proposed: dict[str, list[str]] = {}
    for context in association.requestor.primitive.presentation_context_definition_list:
        uid = str(context.abstract_syntax)
        if uid in taken and uid not in OTHER_SERVICES | NOT_STORABLE:
            proposed.setdefault(uid, []).extend(map(str, context.transfer_syntax))
    added = []
    for uid, syntaxes in proposed.items():
        first = [one for one in _FIRST if one in syntaxes]
        context = build_context(uid, list(dict.fromkeys((*first, *syntaxes))))
        context.scu_role, context.scp_role = False, True
        added.append(context)
    association.acceptor.supported_contexts = [*association.acceptor.supported_contexts, *added]


class Getting:
    """Used from the association's own thread. All that is sent goes through pynetdicom's queue, in its order."""

    def __init__(self, association: Association, wanted: Sequence[Wanted], reading: Reading, answer_s: float) -> None:
        self._association: Any = association
        self._wanted = wanted
        self._reading = reading
        self._answer_s = answer_s
        self._contexts: dict[tuple[str, str], int] = {
            (str(context.abstract_syntax), str(context.transfer_syntax[0])): context.context_id or 0
            for context in self._association._accepted_cx.values()
            if context.as_scu
        }
        self._messages = 0

    def send(self, place: int) -> int:
        """The status of the C-STORE of one of `wanted`. Raises Unsent, Gone."""
        one = self._wanted[place]
        accepts = lambda syntax: (one.sop_class, syntax) in self._contexts  # noqa: E731
        with self._reading.data_set(one, accepts) as (syntax, data):
            self._messages = self._messages % 0xFFFF + 1
            context = self._contexts[one.sop_class, syntax]
            self._put(context, _COMMAND_LAST, command_set(one.sop_class, one.sop_instance, self._messages))
            fragment_max = min(self._association.requestor.maximum_length or _PDU_BYTES_MAX, _PDU_BYTES_MAX) - 6
            view = memoryview(data)
            for start in range(0, max(len(view), 1), fragment_max):
                end = start + fragment_max
                self._put(context, _DATA if end < len(view) else _DATA_LAST, view[start:end])
        return self._answered()

    def close(self) -> None:
        """The association goes on."""

    def _put(self, context: int, control: bytes, fragment: bytes | memoryview) -> None:
        """Raises Gone where the peer takes nothing for as long as an answer may take."""
        wait_for_room(self._association, self._answer_s)
        data: Any = P_DATA()
        data.presentation_data_value_list = [[context, control + bytes(fragment)]]
        self._association.dul.send_pdu(data)

    def _answered(self) -> int:
        _, response = self._association.dimse.get_msg(block=True)
        answers = isinstance(response, C_STORE) and response.MessageIDBeingRespondedTo == self._messages
        if not answers or response.Status is None:
            raise Gone
        return int(response.Status)
