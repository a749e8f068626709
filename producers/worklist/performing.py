"""N-CREATE and N-SET of performed procedure steps (PS3.4 annex F): in the log before they are answered.

Final states are immutable. A step without an order is taken, and so is one for several orders, and another one for an
order that has one already: what it is for, its Scheduled Step Attributes Sequence says.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, Literal, cast

import structlog
from pydicom.dataset import Dataset
from pynetdicom.events import Event

from producers.worklist.attribute_list import STATUSES, Refusal, refuse_create, refuse_set, series, settable, study_uids
from producers.worklist.known_steps import KnownSteps, Status
from producers.worklist.received import Received
from streams import metrics
from streams.clock import Clock
from streams.config import Site
from streams.dimse import ceiling
from streams.dimse.listening import Discarded
from streams.dimse.status import Response, code_of, failure
from streams.events import MppsEvent
from streams.generation import meta_of_fact, of_facts
from streams.identity import uid_is_usable, uid_of_event
from streams.log import LogAway, LogRefused, Producer
from streams.objects import Damaged, StoreAway, StoreRefused
from streams.protected import ProtectedBlocks
from streams.terms import MODALITIES
from streams.titles import ae_title
from streams.wire import SchemaIds, encode

STEP: Final = "worklist"
SUCCESS, ATTRIBUTE_LIST_ERROR, PROCESSING_FAILURE = 0x0000, 0x0107, 0x0110
DUPLICATE, NO_SUCH_INSTANCE, INVALID_INSTANCE = 0x0111, 0x0112, 0x0117
# PS3.4 section F.7.2.2.3.
NO_LONGER: Final = "Performed Procedure Step Object may no longer be updated"
NO_LONGER_ID: Final = 0xA710
_AWAY: Final = "it could not be kept; send it again"
_REFUSED: Final = "the store takes no such attribute list"


@dataclass(frozen=True)
class Performing:
    """Used from the threads of all associations at once; one request at a time is decided."""

    site: Site
    producer: Producer
    ids: SchemaIds
    blocks: ProtectedBlocks
    steps: KnownSteps
    clock: Clock
    source: str
    commit_timeout_s: float
    deciding: threading.Lock

    def on_n_create(self, event: Event) -> Response:
        """Bound to pynetdicom's EVT_N_CREATE."""
        asked = cast(Any, event.request)
        named = str(asked.AffectedSOPInstanceUID or "") or uid_of_event(str(uuid.uuid4()))
        status = self._answered(event, named, asked.AttributeList, self.create)
        if status != SUCCESS or asked.AffectedSOPInstanceUID:
            return status, None
        told: Any = Dataset()
        told.AffectedSOPInstanceUID = named  # the scanner left it to us (PS3.7 section 10.1.5.1.4)
        return status, told

    def on_n_set(self, event: Event) -> Response:
        """Bound to pynetdicom's EVT_N_SET."""
        asked = cast(Any, event.request)
        return self._answered(event, str(asked.RequestedSOPInstanceUID or ""), asked.ModificationList, self.set), None

    def _answered(self, event: Event, mpps_uid: str, encoded: object, decide: Any) -> int | Dataset:
        status = self._decided(event, mpps_uid, encoded, decide)
        metrics.MPPS_RESPONSES.labels(f"{code_of(status):04X}").inc()
        return status

    def _decided(self, event: Event, mpps_uid: str, encoded: object, decide: Any) -> int | Dataset:
        """Whatever fails, nothing is acknowledged that is not in the log."""
        calling = ae_title(event.assoc.requestor.ae_title)
        try:
            if isinstance(encoded, Discarded):
                return failure(PROCESSING_FAILURE, "larger than [worklist] data_set_bytes_max")
            if not uid_is_usable(mpps_uid):
                return failure(INVALID_INSTANCE, "the SOP Instance UID is not a UID")
            ceiling.check(str(event.context.transfer_syntax), encoded)
            said = event.attribute_list if decide == self.create else event.modification_list
            ceiling.check_depth(said)
            data = encoded.getvalue() if isinstance(encoded, BytesIO) else b""
            received = Received(said, data, str(event.context.transfer_syntax))
            answered: int | Dataset = self._in_its_turn(lambda: decide(mpps_uid, received, calling))
        except ceiling.TooMuch as error:
            return failure(PROCESSING_FAILURE, str(error))
        except (LogAway, LogRefused, TimeoutError, StoreAway, Damaged) as error:
            structlog.get_logger().error("step_not_kept", calling_ae=calling, error=error)
            return failure(PROCESSING_FAILURE, _AWAY)
        except StoreRefused as error:
            structlog.get_logger().error("step_refused", calling_ae=calling, reason=str(error))
            return failure(PROCESSING_FAILURE, _REFUSED)
        except Exception:  # noqa: BLE001 - said by type and place; its text may quote a name
            structlog.get_logger().error("step_failed", calling_ae=calling, exc_info=True)
            return failure(PROCESSING_FAILURE, "the attribute list cannot be understood")
        return answered

    def _in_its_turn(self, decide: Callable[[], int | Dataset]) -> int | Dataset:
        """While the log is away each waits for it in its turn, and no scanner waits for all of those before it. Raises
        TimeoutError."""
        if not self.deciding.acquire(timeout=self.commit_timeout_s):
            raise TimeoutError
        try:
            return decide()
        finally:
            self.deciding.release()

    def create(self, mpps_uid: str, received: Received, calling_ae: str) -> int | Dataset:
        """The status of an N-CREATE. Raises LogAway, LogRefused, TimeoutError, StoreAway, Damaged."""
        said = received.said
        if refused := refuse_create(said):
            return _refused(refused)
        if self.steps.step(mpps_uid) is not None:
            return failure(DUPLICATE, "there is a step with this SOP Instance UID")
        self._say(mpps_uid, "created", "in_progress", said, received, calling_ae)
        return SUCCESS

    def set(self, mpps_uid: str, received: Received, calling_ae: str) -> int | Dataset:
        """The status of an N-SET. Raises as `create`."""
        said = received.said
        known = self.steps.step(mpps_uid)
        if known is None:
            return failure(NO_SUCH_INSTANCE, "no step has this SOP Instance UID")
        if known.is_final:
            return failure(PROCESSING_FAILURE, NO_LONGER, NO_LONGER_ID)
        if refused := refuse_set(said, known.has_series):
            return _refused(refused)
        kept = settable(said)
        status = STATUSES[str(said.get("PerformedProcedureStepStatus") or "IN PROGRESS")]
        self._say(mpps_uid, "set", cast(Status, status), kept, received, calling_ae)
        if len(kept) < len(said):
            return failure(ATTRIBUTE_LIST_ERROR, "kept, but for attributes that N-SET may not touch")
        return SUCCESS

    def _say(
        self,
        mpps_uid: str,
        action: Literal["created", "set"],
        status: Status,
        said: Dataset,
        received: Received,
        calling_ae: str,
    ) -> None:
        # A step is created once; each N-SET is one of its own, also where it says what an earlier one said.
        subject = f"{mpps_uid}/{action if action == 'created' else uuid.uuid4()}"
        modality = str(said.get("Modality") or "")
        event = MppsEvent(
            meta=meta_of_fact(self.site, self.clock, STEP, subject),
            provenance=of_facts(STEP).provenance(),
            mpps_uid=mpps_uid,
            action=action,
            status=status,
            calling_ae=calling_ae,
            block=self.blocks.put_part("performed", mpps_uid, received.kept(said)),
            study_uids=study_uids(said),
            modality=modality if modality in MODALITIES else None,
            series=series(said),
        )
        sent = self.producer.send(encode(event, self.ids, source=self.source))
        self.steps.said(event, sent.result(timeout=self.commit_timeout_s))


def _refused(refusal: Refusal) -> Dataset:
    return failure(refusal.status, refusal.comment)
