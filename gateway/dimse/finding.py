"""C-FIND (PS3.4 section C.4.1): keys in, matches out, a page of the catalog at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final, cast

import structlog
from pydicom.dataset import Dataset
from pynetdicom.events import Event

from consumers.catalog.reading import Reads
from gateway.dimse.config import Settings
from gateway.dimse.models import Asking, Level, Mismatch, asking, check_levels_above, level_of, levels_of, values
from gateway.dimse.pacing import Gone, wait_for_room
from gateway.dimse.patients import Ambiguous, check_one_patient
from gateway.dimse.searching import Search
from gateway.dimse.telling import Told, reader_of
from streams import metrics
from streams.dimse import ceiling
from streams.dimse.answer import answer, unsupported
from streams.dimse.listening import Discarded
from streams.dimse.matching import BadKey
from streams.dimse.status import Response, code_of, failure
from streams.step import Away

# PS3.4 table C.4-1.
SUCCESS, PENDING, PENDING_UNSUPPORTED, CANCELLED = 0x0000, 0xFF00, 0xFF01, 0xFE00
OUT_OF_RESOURCES, NOT_OF_SOP_CLASS, UNABLE_TO_PROCESS = 0xA700, 0xA900, 0xC000
# At the top of every response; not of a level.
_ALWAYS: Final = ("QueryRetrieveLevel", "RetrieveAETitle", "InstanceAvailability")


class _Cancelled(Exception):
    pass


class _TooLong(Exception):
    pass


class Finder:
    """Answers queries. Used from the threads of all associations at once."""

    def __init__(self, reads: Reads, tenant: str, settings: Settings, told: Told) -> None:
        self._reads = reads
        self._tenant = tenant
        self._settings = settings
        self._told = told

    def on_c_find(self, event: Event) -> Iterator[Response]:
        """Bound to pynetdicom's EVT_C_FIND, which reads no further than a failure."""
        began, sent, last = time.monotonic(), 0, SUCCESS
        reader = reader_of(event.assoc)
        try:
            for status, item in self._answers(event, reader):
                sent += item is not None
                last = SUCCESS if item is not None else code_of(status)
                yield status, item
        finally:
            metrics.RETRIEVE_RESPONSES.labels("C-FIND", f"{last:04X}").inc()
            self._told.queried(reader, sent)
            took_s = round(time.monotonic() - began, 3)
            structlog.get_logger().info("queried", reader=reader, status=f"0x{last:04X}", matches=sent, took_s=took_s)

    def _answers(self, event: Event, reader: str) -> Iterator[Response]:
        """What nobody planned ends one query, and nothing of it is in a log."""
        try:
            encoded = cast(Any, event.request).Identifier
            if isinstance(encoded, Discarded):
                raise BadKey("the identifier is larger than [retrieve] data_set_bytes_max")
            ceiling.check(str(event.context.transfer_syntax), encoded)
            keys = _decoded(event)
            ceiling.check_depth(keys)
            yield from self._found(event, keys)
        except Mismatch as error:
            yield failure(NOT_OF_SOP_CLASS, str(error)), None
        except (Ambiguous, BadKey, ceiling.TooMuch) as error:
            yield failure(UNABLE_TO_PROCESS, str(error)), None
        except Away:
            yield failure(OUT_OF_RESOURCES, "the catalog does not answer; ask again"), None
        except Gone:
            event.assoc.abort()
            yield CANCELLED, None
        except Exception:  # noqa: BLE001 - said by type and place; its text may quote a name
            structlog.get_logger().error("query_failed", reader=reader, exc_info=True)
            yield failure(UNABLE_TO_PROCESS, "the identifier cannot be understood"), None

    def _found(self, event: Event, keys: Dataset) -> Iterator[Response]:
        """The responses but for the last, which is success. Raises Mismatch, Ambiguous, BadKey, Away, Gone."""
        sop_class = str(event.context.abstract_syntax)
        level = level_of(sop_class, keys)
        wanted = asking(sop_class, extended(event.assoc, sop_class))
        check_levels_above(sop_class, level, keys, relational=wanted.relational)
        self._check_patient(sop_class, level, keys, wanted)
        until_s = time.monotonic() + self._settings.query_timeout_s

        def step() -> None:
            if event.is_cancelled:
                raise _Cancelled
            if time.monotonic() > until_s:
                raise _TooLong

        search = Search(self._reads, self._tenant, self._settings.ae_title, keys, level, wanted, step)
        sent = 0
        try:
            for item in search.found():
                step()
                if sent == self._settings.matches_max:
                    yield failure(OUT_OF_RESOURCES, f"more than {sent} matches; narrow the query down"), None
                    return
                sent += 1
                # Looking is what takes too long, and not a peer that reads slowly.
                until_s += wait_for_room(event.assoc, self._settings.answer_timeout_s)
                told = answer(keys, item)
                for keyword in _ALWAYS:
                    if keyword in item:
                        told[keyword] = item[keyword]
                yield PENDING_UNSUPPORTED if unsupported(keys, item) else PENDING, told
        except _Cancelled:
            yield CANCELLED, None
        except _TooLong:
            yield failure(OUT_OF_RESOURCES, "it takes too long; narrow the query down"), None

    def _check_patient(self, sop_class: str, level: Level, keys: Dataset, wanted: Asking) -> None:
        """Below a patient whom the Patient ID names, a match need not say whose it is. Raises Ambiguous, Away."""
        is_below = level != "PATIENT" and "PATIENT" in levels_of(sop_class)
        if is_below and not wanted.relational and not values(keys, "StudyInstanceUID"):
            with self._reads.snapshot() as cursor:
                check_one_patient(cursor, self._tenant, keys)


def extended(association: Any, sop_class: str) -> bytes | None:
    """What the requestor proposed by SOP Class Extended Negotiation."""
    said = association.requestor.sop_class_extended
    return next((bytes(value) for uid, value in said.items() if str(uid) == sop_class), None)


def _decoded(event: Event) -> Dataset:
    """The identifier. pydicom raises whatever it comes across in bytes that are none. Raises BadKey."""
    try:
        return event.identifier
    except Exception:  # noqa: BLE001
        raise BadKey("the identifier cannot be understood") from None
