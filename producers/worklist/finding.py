"""C-FIND of the modality worklist (PS3.4 annex K): keys in, items out, a page of the catalog at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, cast

import structlog
from msgspec import structs
from pydicom.dataset import Dataset
from pynetdicom.events import Event

from consumers.catalog.reading import Reads
from consumers.catalog.worklist import PAGE, Asked, Scheduled, page
from producers.worklist.config import Settings
from producers.worklist.item import item_of
from producers.worklist.query import asked, station
from streams import metrics
from streams.dimse import ceiling
from streams.dimse.answer import answer, unsupported
from streams.dimse.listening import Discarded
from streams.dimse.matching import Agreed, BadKey, matches
from streams.dimse.status import Response, code_of, failure
from streams.step import Away
from streams.titles import ae_title

# PS3.4 table K.4-1.
SUCCESS, PENDING, PENDING_UNSUPPORTED, CANCELLED = 0x0000, 0xFF00, 0xFF01, 0xFE00
OUT_OF_RESOURCES, UNABLE_TO_PROCESS = 0xA700, 0xC000

# PS3.4 section K.6.1.2.2.
AGREED = Agreed(periods=(("ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"),))


class Finder:
    """Answers queries. Used from the threads of all associations at once."""

    def __init__(self, reads: Reads, tenant: str, settings: Settings, today: Callable[[], date]) -> None:
        self._reads = reads
        self._tenant = tenant
        self._settings = settings
        self._today = today

    def on_c_find(self, event: Event) -> Iterator[Response]:
        """Bound to pynetdicom's EVT_C_FIND, which reads no further than a failure."""
        began, sent, last = time.monotonic(), 0, SUCCESS
        calling = ae_title(event.assoc.requestor.ae_title)
        try:
            for status, item in self._answers(event, calling):
                sent += item is not None
                last = SUCCESS if item is not None else code_of(status)
                yield status, item
        finally:
            metrics.WORKLIST_RESPONSES.labels(f"{last:04X}").inc()
            took_s = round(time.monotonic() - began, 3)
            structlog.get_logger().info(
                "worklist_queried", calling_ae=calling, status=f"0x{last:04X}", items=sent, took_s=took_s
            )

    def _answers(self, event: Event, calling: str) -> Iterator[Response]:
        """What nobody planned ends one query, and nothing of it is in a log."""
        try:
            encoded = cast(Any, event.request).Identifier
            if isinstance(encoded, Discarded):
                raise BadKey("the identifier is larger than [worklist] data_set_bytes_max")
            ceiling.check(str(event.context.transfer_syntax), encoded)
            yield from self.find(event.identifier, calling, lambda: bool(event.is_cancelled))
        except (BadKey, ceiling.TooMuch) as error:
            yield failure(UNABLE_TO_PROCESS, str(error)), None
        except Away:
            yield failure(OUT_OF_RESOURCES, "the catalog does not answer; ask again"), None
        except Exception:  # noqa: BLE001 - said by type and place; its text may quote a name
            structlog.get_logger().error("query_failed", calling_ae=calling, exc_info=True)
            yield failure(UNABLE_TO_PROCESS, "the identifier cannot be understood"), None

    def find(self, keys: Dataset, calling_ae: str, is_cancelled: Callable[[], bool]) -> Iterator[Response]:
        """The responses but for the last, which is success. Raises BadKey, Away.

        A step that names no station is for the one that asks: consoles ask by their AE title, and it has to be returned
        with a value (PS3.4 table K.6-1; docs/decisions/0088).
        """
        found, asking = 0, [station(keys, calling_ae)]
        for scheduled in self._scheduled(asked(keys, self._today(), self._settings.expires_days)):
            if is_cancelled():
                yield CANCELLED, None
                return
            item = item_of(scheduled if scheduled.station_aes else structs.replace(scheduled, station_aes=asking))
            if not matches(keys, item, AGREED):
                continue
            if found == self._settings.matches_max:
                yield failure(OUT_OF_RESOURCES, f"more than {found} matches; narrow the query down"), None
                return
            found += 1
            yield PENDING_UNSUPPORTED if unsupported(keys, item) else PENDING, answer(keys, item)

    def _scheduled(self, wanted: Asked) -> Iterator[Scheduled]:
        """No connection is held while a scanner takes its time."""
        after: Scheduled | None = None
        while True:
            with self._reads.snapshot() as cursor:
                found = page(cursor, self._tenant, wanted, after)
            yield from found
            if len(found) < PAGE:
                return
            after = found[-1]
