"""The parts of one request, each stored as it is whole, before the next is read."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from producers.dicom_router.arrival import CANNOT_UNDERSTAND, OUT_OF_RESOURCES, SUCCESS, Arrival, Refusal
from producers.dicom_router.incoming_file import Door, IncomingFile
from producers.dicom_router.stow import answer
from producers.dicom_router.stow.answer import Answer, Part, Trouble
from producers.dicom_router.stow.media_types import DICOM, parsed
from producers.dicom_router.stow.parts import BadBody, Parts
from producers.dicom_router.stow.request import Accepted
from streams import metrics

# What RFC 2045 section 6.2 calls the identity: anything else would have to be decoded.
_PLAIN_ENCODINGS: Final = frozenset(("", "binary", "8bit", "7bit"))
# Each is an event of the audit: a request is not to fill the log with them.
STRANGE_PARTS_MAX: Final = 100
_OTHER_TYPE: Final = Refusal(CANNOT_UNDERSTAND, f"the part is not {DICOM}")
_ENCODED: Final = Refusal(CANNOT_UNDERSTAND, "the part has a transfer encoding: parts are sent as bytes")
_NOT_ENDED: Final = "the body ended before its closing boundary"

Store = Callable[[Arrival], int]


class Storing:
    """One request: `write` what comes of its body, then `end`. `store` gives a C-STORE's status (PS3.4 annex B.2.3)."""

    def __init__(self, request: Accepted, door: Door, store: Store) -> None:
        self._study_uid = request.study_uid
        self._answer_type = request.answer
        self._door = door
        self._store = store
        self._association = uuid.uuid4().hex
        self._answered: list[Part] = []
        self._strange = 0
        self._file: IncomingFile | None = None
        self._fault: Refusal | None = None
        self._trouble: Trouble | None = None
        self._parts = Parts(request.boundary, self)

    def write(self, data: bytes) -> bool:
        """Whether to read on: after something wrong with the body, nothing more of it is looked at."""
        try:
            self._parts.write(data)
        except BadBody as error:
            if not self._parts.ended:
                self._trouble = Trouble(400, str(error))
            return False
        except OSError:
            structlog.get_logger().error("no_room_for_an_instance", association=self._association)
            self._trouble = Trouble(503, "there is no memory for a part")
            return False
        return True

    def end(self, trouble: Trouble | None = None) -> Answer:
        """The answer. A part that was not whole is none. `trouble` is why the body was not read to its end."""
        trouble = self._trouble or trouble
        if self._parts.ended:
            trouble = None
        elif trouble is None:
            trouble = Trouble(400, _NOT_ENDED)
        if trouble is None and not self._answered:
            trouble = Trouble(400, "there is no part in the body")
        return answer.of_parts(self._answered, trouble, self._answer_type)

    def close(self) -> None:
        """Gives back what a part that was not whole took."""
        if self._file is not None:
            self._file.done(reusable=True)
            self._file = None

    def begin(self, headers: Mapping[str, str]) -> None:
        self._file = IncomingFile(self._door, self._association)
        self._fault = _fault(headers)

    def data(self, piece: memoryview) -> None:
        if self._file is not None:
            self._file.write(piece)

    def end_of_part(self) -> None:
        """Comes back when the part is kept, or refused and accounted for."""
        file, self._file = self._file, None
        if file is None:
            return
        status = OUT_OF_RESOURCES
        try:
            arrival = file.arrival(self._study_uid, self._fault)
            status = self._store(arrival)
        finally:
            file.done(reusable=status == SUCCESS)
        metrics.STOW_INSTANCES.labels(f"{status:04X}").inc()
        self._answered.append(Part(arrival.sop_class_uid, arrival.sop_instance_uid, status))
        self._strange += status == CANNOT_UNDERSTAND
        if self._strange >= STRANGE_PARTS_MAX:
            raise BadBody(f"{STRANGE_PARTS_MAX} parts are no DICOM files: the rest is not looked at")


def _fault(headers: Mapping[str, str]) -> Refusal | None:
    if parsed(headers.get("content-type", DICOM))[0] != DICOM:
        return _OTHER_TYPE
    if headers.get("content-transfer-encoding", "").lower() not in _PLAIN_ENCODINGS:
        return _ENCODED
    return None
