"""C-MOVE and C-GET (PS3.4 sections C.4.2 and C.4.3): what is selected is sent, counted and said.

pynetdicom's own service class would decode every data set and write it anew; here they go out as they are stored.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Protocol

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_GET, C_MOVE
from pynetdicom.dsutils import decode, encode

from consumers.catalog.reading import Reads
from gateway.dimse.config import Settings
from gateway.dimse.finding import extended
from gateway.dimse.getting import Getting
from gateway.dimse.models import GET, MOVE, SOP_CLASSES, Mismatch, asking, level_of
from gateway.dimse.moving import Moving, Unknown, node_of
from gateway.dimse.pacing import Gone, is_gone
from gateway.dimse.patients import Ambiguous, check_one_patient
from gateway.dimse.reading import Lost, Reading, Unsent
from gateway.dimse.selecting import TooMany, Wanted, selected, unique_keys
from gateway.dimse.still import Still
from gateway.dimse.telling import Told, reader_of
from gateway.restoring import Expected, RestoreFailed, Restoring
from streams import metrics
from streams.config import ConfigError
from streams.dimse import ceiling
from streams.dimse.listening import Discarded
from streams.dimse.matching import BadKey
from streams.log import LogAway, LogRefused
from streams.networks import counted_as
from streams.step import Away
from streams.store_scu import Originator
from streams.titles import ae_title
from streams.tls.clients import Clients

# PS3.4 tables C.4-2 and C.4-3.
SUCCESS, PENDING, CANCELLED, SOME_FAILED = 0x0000, 0xFF00, 0xFE00, 0xB000
SOP_CLASS_NOT_SUPPORTED = 0x0122
NOT_COUNTED, NOT_PERFORMED = 0xA701, 0xA702
DESTINATION_UNKNOWN, NOT_OF_SOP_CLASS, UNABLE_TO_PROCESS = 0xA801, 0xA900, 0xC000
# Coercion of Data Elements, Data Set does not match SOP Class, Elements Discarded (table B.2-1).
_WARNINGS: Final = frozenset((0xB000, 0xB006, 0xB007, 0x0107, 0x0116))
# A value of a UI has 64 KiB at most in explicit VR: PS3.5 table 7.1-2.
_LISTED_MAX: Final = 1000
_COUNT_MAX: Final = 0xFFFF
_COMMENT_MAX: Final = 64
# So many that the store did not give, one after the other, and the others are not asked for: each would be waited for.
_AWAY_MAX: Final = 2
_STORE_AWAY: Final = "store_away"


class _Refused(Exception):
    """Nothing of the request is done."""

    def __init__(self, status: int, comment: str) -> None:
        super().__init__(comment)
        self.status = status


class Sender(Protocol):
    """Sends the instances that it was made with."""

    def send(self, place: int) -> int:
        """The status of a C-STORE. Raises Unsent, and Gone where nobody is there to be told."""

    def close(self) -> None: ...


@dataclass
class Counts:
    """Of sub-operations (PS3.7 table 9.1-4). `read` counts by study what went out, whatever was answered to it.

    `expected` has the studies that are being restored, with when they are there; None where it could not be asked.
    """

    remaining: int
    completed: int = 0
    warned: int = 0
    failed: list[str] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    read: Counter[str] = field(default_factory=Counter)
    why: Counter[str] = field(default_factory=Counter)
    expected: dict[str, Expected | None] = field(default_factory=dict)

    @property
    def status(self) -> int:
        if self.failed and not self.completed + self.warned:
            return NOT_PERFORMED
        return SOME_FAILED if self.failed or self.warned else SUCCESS


@dataclass(frozen=True)
class _Request:
    """A request and the context that it came in."""

    association: Any
    primitive: Any
    context: Any

    @property
    def service(self) -> str:
        return "C-MOVE" if isinstance(self.primitive, C_MOVE) else "C-GET"

    @property
    def is_cancelled(self) -> bool:
        return self.primitive.MessageID in self.association.dimse.cancel_req

    def identifier(self) -> Dataset:
        """Raises Mismatch, TooMuch."""
        encoded, syntax = self.primitive.Identifier, self.context.transfer_syntax[0]
        if encoded is None or isinstance(encoded, Discarded):
            raise Mismatch("there is no identifier, or one over [retrieve] data_set_bytes_max")
        ceiling.check(str(syntax), encoded)
        keys = decode(encoded, syntax.is_implicit_VR, syntax.is_little_endian)
        ceiling.check_depth(keys)
        return keys

    def respond(self, status: int, counts: Counts | None = None, comment: str = "") -> None:
        said: Any = type(self.primitive)()
        said.MessageIDBeingRespondedTo = self.primitive.MessageID
        said.AffectedSOPClassUID = self.primitive.AffectedSOPClassUID
        said.Status = status
        if comment:
            said.ErrorComment = comment[:_COMMENT_MAX]
        if counts is not None:
            if status in (PENDING, CANCELLED):
                said.NumberOfRemainingSuboperations = min(counts.remaining, _COUNT_MAX)
            said.NumberOfCompletedSuboperations = min(counts.completed, _COUNT_MAX)
            said.NumberOfFailedSuboperations = min(len(counts.failed), _COUNT_MAX)
            said.NumberOfWarningSuboperations = min(counts.warned, _COUNT_MAX)
            if counts.failed and status != PENDING:
                said.Identifier = BytesIO(self._failed(counts.failed[:_LISTED_MAX]))
        self.association.dimse.send_msg(said, self.context.context_id)

    def _failed(self, uids: list[str]) -> bytes:
        listed: Any = Dataset()
        listed.FailedSOPInstanceUIDList = [UID(uid) for uid in uids]
        syntax = self.context.transfer_syntax[0]
        return encode(listed, syntax.is_implicit_VR, syntax.is_little_endian) or b""


class Retriever:
    """Used from the threads of all associations at once."""

    def __init__(
        self,
        reads: Reads,
        tenant: str,
        settings: Settings,
        reading: Reading,
        told: Told,
        nodes: Path,
        clients: Clients,
        restoring: Restoring,
    ) -> None:
        self._reads = reads
        self._tenant = tenant
        self._settings = settings
        self._reading = reading
        self._told = told
        self._nodes = nodes
        self._clients = clients
        self._restoring = restoring
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()

    def serve(self, association: Association, primitive: Any, context_id: int) -> bool:
        """`streams.dimse.connections.Serving`: takes C-MOVE and C-GET of a context that was accepted."""
        context = association._accepted_cx.get(context_id)
        if not isinstance(primitive, C_MOVE | C_GET) or context is None:
            return False
        request = _Request(association, primitive, context)
        association.dimse.cancel_req = {}
        began_s, reader = time.monotonic(), reader_of(association)
        status, counts = self._served(request, reader)
        metrics.RETRIEVE_RESPONSES.labels(request.service, f"{status:04X}").inc()
        structlog.get_logger().info(
            "retrieved",
            service=request.service,
            reader=reader,
            status=f"0x{status:04X}",
            completed=counts.completed,
            warned=counts.warned,
            failed=len(counts.failed),
            why=dict(counts.why),
            took_s=round(time.monotonic() - began_s, 3),
        )
        return True

    def _served(self, request: _Request, reader: str) -> tuple[int, Counts]:
        """Whatever fails is answered, and nothing of it is in a log. The last status, also where nobody was told."""
        counts = Counts(0)
        try:
            with self._admitted(request.association.requestor.address):
                wanted = self._wanted(request)
                sender, to = self._sender(request, wanted)
                counts = Counts(len(wanted))
                action, to = f"retrieve.{request.service[2:].lower()}", to or reader
                try:
                    self._told.begun(reader, action, to, Counter(one.study_uid for one in wanted))
                    status = self._sent(request, reader, sender, wanted, counts)
                finally:
                    sender.close()
                    self._told.retrieved(reader, action, to, counts.sent, len(counts.failed), counts.read)
        except _Refused as error:
            request.respond(error.status, comment=str(error))
            return error.status, counts
        except Gone:
            request.association.abort()
            return NOT_PERFORMED, counts
        except Exception:  # noqa: BLE001 - said by type and place; its text may quote anything
            structlog.get_logger().error("retrieve_failed", reader=reader, exc_info=True)
            request.respond(UNABLE_TO_PROCESS, comment="the request cannot be understood")
            return UNABLE_TO_PROCESS, counts
        request.respond(status, counts, _comment(counts))
        return status, counts

    @contextmanager
    def _admitted(self, address: str) -> Iterator[None]:
        """Raises _Refused."""
        settings, peer = self._settings, counted_as(address)
        with self._lock:
            if (
                self._under_way[peer] >= settings.retrieves_of_one_address_max
                or self._under_way.total() >= settings.retrieves_max
            ):
                raise _Refused(NOT_PERFORMED, "too many retrieves are under way; ask again")
            self._under_way[peer] += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[peer] -= 1

    def _wanted(self, request: _Request) -> list[Wanted]:
        """Raises _Refused."""
        sop_class = str(request.primitive.AffectedSOPClassUID)
        service = MOVE if request.service == "C-MOVE" else GET
        if sop_class != str(request.context.abstract_syntax) or sop_class not in SOP_CLASSES:
            raise _Refused(SOP_CLASS_NOT_SUPPORTED, "the SOP class is not that of the presentation context")
        if sop_class.rpartition(".")[2] != service:
            raise _Refused(SOP_CLASS_NOT_SUPPORTED, "the SOP class is of another service")
        try:
            keys = request.identifier()
            level = level_of(sop_class, keys)
            relational = asking(sop_class, extended(request.association, sop_class)).relational
            unique = unique_keys(sop_class, level, keys, relational=relational)
            with self._reads.snapshot() as cursor:
                if level == "PATIENT":
                    check_one_patient(cursor, self._tenant, unique)
                return selected(cursor, self._tenant, unique, self._settings.instances_max)
        except Mismatch as error:
            raise _Refused(NOT_OF_SOP_CLASS, str(error)) from None
        except (Ambiguous, BadKey, ceiling.TooMuch) as error:
            raise _Refused(UNABLE_TO_PROCESS, str(error)) from None
        except Away:
            raise _Refused(NOT_COUNTED, "the catalog does not answer; ask again") from None
        except TooMany:
            most = self._settings.instances_max
            raise _Refused(NOT_COUNTED, f"more than {most} instances; ask for less at once") from None

    def _sender(self, request: _Request, wanted: list[Wanted]) -> tuple[Sender, str]:
        """And the AE title of who gets them, where it is not who asks. Raises _Refused."""
        if request.service == "C-GET":
            return Getting(request.association, wanted, self._reading, self._settings.answer_timeout_s), ""
        try:
            node = node_of(self._nodes, str(request.primitive.MoveDestination or "").strip())
        except Unknown as error:
            raise _Refused(DESTINATION_UNKNOWN, str(error)) from None
        except ConfigError:
            raise _Refused(UNABLE_TO_PROCESS, "the file of nodes cannot be used; see: radstream doctor") from None
        originator = Originator(ae_title(request.association.requestor.ae_title), request.primitive.MessageID)
        settings = self._settings
        sender = Moving(
            node,
            self._clients,
            settings.ae_title,
            originator,
            wanted,
            self._reading,
            settings.answer_timeout_s,
        )
        return sender, node.ae_title

    def _sent(self, request: _Request, reader: str, sender: Sender, wanted: list[Wanted], counts: Counts) -> int:
        """The last status. Raises Gone."""
        still = Still(self._reads, self._tenant, wanted)
        away = 0
        for place, one in enumerate(wanted):
            if is_gone(request.association):
                raise Gone
            if request.is_cancelled:
                return CANCELLED
            if away == _AWAY_MAX:
                _not_asked_for(request.service, wanted[place:], counts)
                break
            why = self._sub_operation(request.service, reader, sender, still, place, one, counts)
            away = away + 1 if why == _STORE_AWAY else 0
            if counts.remaining:
                request.respond(PENDING, counts)
        return counts.status

    def _sub_operation(
        self, service: str, reader: str, sender: Sender, still: Still, place: int, one: Wanted, counts: Counts
    ) -> str:
        """A stable name of what came of it."""
        # Who breaks off before he answers may have had all of it.
        is_out = True
        try:
            still.check(place)
            status = sender.send(place)
            why = f"0x{status:04X}"
        except Unsent as error:
            is_out = isinstance(error, Lost)
            status, why = UNABLE_TO_PROCESS, str(error)
            if why == "absent" and self._is_restored(one, reader, counts):
                why = "restored"
        finally:
            if is_out:
                counts.read[one.study_uid] += 1
                self._told.read(reader, one.study_uid)
        counts.remaining -= 1
        if status == SUCCESS or status in _WARNINGS:
            outcome = "done" if status == SUCCESS else "warned"
            counts.completed += outcome == "done"
            counts.warned += outcome == "warned"
            counts.sent[one.study_uid] += 1
        else:
            outcome = "failed"
            counts.failed.append(one.sop_instance)
            counts.why[why] += 1
        metrics.RETRIEVED.labels(service, outcome).inc()
        return why

    def _is_restored(self, one: Wanted, reader: str, counts: Counts) -> bool:
        """Sees to it that what is archived is restored; a study of which that is known is not asked after again."""
        if one.study_uid not in counts.expected:
            try:
                expected = self._restoring.ask(one.study_uid, reader, one.sop_instance)
            except (RestoreFailed, LogAway, LogRefused, TimeoutError, Away) as error:
                # Each try may take its time: the others of the study make none.
                structlog.get_logger().warning("not_restored", kind=type(error).__name__)
                counts.expected[one.study_uid] = None
                return False
            if expected is None:
                return False
            counts.expected[one.study_uid] = expected
        return counts.expected[one.study_uid] is not None


def _not_asked_for(service: str, left: list[Wanted], counts: Counts) -> None:
    counts.remaining -= len(left)
    counts.failed += [one.sop_instance for one in left]
    counts.why[_STORE_AWAY] += len(left)
    metrics.RETRIEVED.labels(service, "failed").inc(len(left))


_WHY: Final = {
    "absent": "no store has it now; it has to be restored",
    "damaged": "its stored bytes are damaged in every store",
    _STORE_AWAY: "the object store does not answer; ask again",
    "no_room": "no disk here for so large an object now; ask again",
    "busy": "too much is being sent at once; ask again",
    "not_accepted": "not taken in a transfer syntax that it can be sent in",
    "no_association": "the destination cannot be reached, or takes nothing",
    "lost": "the destination lost the association",
    "identity_erased": "whose it is here was erased",
    "held": "it is held since the retrieve began",
    "whose_changed": "whose it is here has changed meanwhile; ask again",
    "catalog_away": "the catalog does not answer; ask again",
}


def _comment(counts: Counts) -> str:
    """Why the most of those that failed did; a status of the receiver as it is."""
    if not counts.why:
        return ""
    why = counts.why.most_common(1)[0][0]
    if why == "restored":
        # The last one: of several studies all are there then.
        again_s = max(one.again_s for one in counts.expected.values() if one is not None)
        return f"being restored, expected in {-(-again_s // 60)} min; ask again then"
    return _WHY.get(why, f"answered with {why}" if why.startswith("0x") else why)
