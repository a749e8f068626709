"""Tells a requester on the association on which it asked, while that is open (PS3.4 annex J.3.3).

Looks for results in the log, without a group, while somebody waits for one. Who cannot be told here is told by
`consumers/commitment`, on an association of its own; which of both it is, `streams.commitment_turns` says.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog
from pynetdicom.dsutils import encode as encoded

from producers.dicom_router.upper_layer.command_set import event_report
from producers.dicom_router.upper_layer.messages import Request
from producers.dicom_router.upper_layer.notices import Notices, Notification
from producers.dicom_router.workers import Workers
from streams import metrics
from streams.clock import Clock
from streams.commitment_report import data_set, event_type, is_taken
from streams.commitment_turns import ANSWER_S, Turns
from streams.events import CommitmentResult
from streams.log import Log, LogAway, LogRefused, OffsetOutOfRange, TopicPartition
from streams.objects import StoreAway, StoreRefused
from streams.part10 import EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from streams.sop_classes import STORAGE_COMMITMENT
from streams.wire import decode

INSTANCE: Final = "1.2.840.10008.1.20.1.1"
_RESULTS: Final = "imaging.commitment.result"
_LOOK_S: Final = 0.5
# After what could not be read.
_PAUSE_S: Final = 5.0
# How far the broker's clock may be behind ours.
_BEHIND_MS: Final = 60_000
# For one association, in instances of some 200 bytes each: what is more, the service tells. A result has as much as so
# many of them besides.
_WAITING_MAX: Final = 160_000
_RESULT: Final = 160
# A log that is away may keep the thread for longer.
_STOP_S_MAX: Final = 5.0


@dataclass
class _Asker:
    """An association that asked; in which presentation context, and its transfer syntax. `waiting` is what it is to be
    told yet, one at a time, where `is_told`: by a thread; `size` says how much that is.
    """

    notices: Notices
    context: tuple[int, str]
    waiting: deque[CommitmentResult] = field(default_factory=deque)
    size: int = 0
    is_told: bool = False

    def has_room(self, result: CommitmentResult) -> bool:
        return self.size + _size(result) <= _WAITING_MAX

    def put(self, result: CommitmentResult) -> None:
        self.waiting.append(result)
        self.size += _size(result)

    def take(self) -> CommitmentResult | None:
        if not self.waiting:
            return None
        result = self.waiting.popleft()
        self.size -= _size(result)
        return result


@dataclass
class _Look:
    """Where to read on, by partition."""

    positions: dict[TopicPartition, int] = field(default_factory=dict)


class Telling:
    """`expect` from the threads of all associations."""

    def __init__(self, log: Log, turns: Turns, clock: Clock) -> None:
        self._log = log
        self._turns = turns
        self._clock = clock
        self._askers: dict[str, _Asker] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._workers = Workers("commitment")
        self._thread = threading.Thread(target=self._run, name="commitment", daemon=True)
        self._thread.start()

    def expect(self, request: Request) -> None:
        """A request that is about to be kept: its result may come any time from now on."""
        if request.notices is None:
            return
        new = _Asker(request.notices, (request.context_id, request.context.transfer_syntax))
        with self._changed:
            self._askers.setdefault(request.association, new).context = new.context
            self._changed.notify()

    def stop(self) -> None:
        """Tells nobody any more."""
        self._stopping.set()
        with self._changed:
            self._changed.notify()
        self._thread.join(_STOP_S_MAX)

    def _run(self) -> None:
        look = _Look()
        while not self._stopping.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._askers or self._stopping.is_set())
            if self._stopping.is_set():
                return
            looked = self._looked(look)
            self._stopping.wait(_LOOK_S if looked else _PAUSE_S)
            is_open = self._open()
            if not looked or not is_open:
                look.positions.clear()

    def _open(self) -> bool:
        """Whether anybody may be told still; forgets those that are gone."""
        with self._changed:
            self._askers = {name: asker for name, asker in self._askers.items() if not asker.notices.is_closed}
            return bool(self._askers)

    def _looked(self, look: _Look) -> bool:
        log = structlog.get_logger()
        try:
            self._look(look)
        except (LogAway, LogRefused, OffsetOutOfRange, RuntimeError):
            # Also without a thread left. The service tells it, later.
            return False
        except Exception:
            # Nobody planned this one, and it keeps nobody from being told by the service.
            log.error("commitment_results_not_read", exc_info=True)
            return False
        return True

    def _look(self, look: _Look) -> None:
        if not look.positions:
            since_ms = round(self._clock.now().timestamp() * 1000) - _BEHIND_MS
            partitions = [TopicPartition(_RESULTS, number) for number in range(self._log.partitions(_RESULTS))]
            look.positions.update(self._log.since(partitions, since_ms))
        for result in self._read(look):
            with self._changed:
                asker = self._askers.get(result.source.association)
                if asker is None:
                    continue
                # One that is read again may wait already: there was no thread left, say.
                if asker.has_room(result) and result not in asker.waiting:
                    asker.put(result)
                begins, asker.is_told = not asker.is_told, True
            if begins:
                self._begin(asker)

    def _begin(self, asker: _Asker) -> None:
        """Raises RuntimeError without a thread left."""
        try:
            self._workers.run(partial(self._tell_all, asker))
        except RuntimeError:
            with self._changed:
                asker.is_told = False
            raise

    def _tell_all(self, asker: _Asker) -> None:
        log = structlog.get_logger()
        while (result := self._next(asker)) is not None:
            try:
                self._tell(asker, result)
            except Exception:
                # Nobody planned this one. The service tells it.
                log.error("commitment_telling_failed", exc_info=True)

    def _next(self, asker: _Asker) -> CommitmentResult | None:
        with self._changed:
            result = asker.take()
            asker.is_told = result is not None
            return result

    def _read(self, look: _Look) -> Iterator[CommitmentResult]:
        for partition, (_, end) in self._log.bounds(list(look.positions)).items():
            start, look.positions[partition] = look.positions[partition], end
            for record in self._log.read(partition, start, end) if start < end else ():
                event = decode(record)
                if isinstance(event, CommitmentResult):
                    yield event

    def _tell(self, asker: _Asker, result: CommitmentResult) -> None:
        log = structlog.get_logger()
        try:
            # A turn that is there already is the service's, or was ours when the result was read before.
            if asker.notices.is_closed or not self._turns.take(result, "association")[1]:
                return
            status = asker.notices.ask(_notification(asker, result), ANSWER_S)
            self._turns.tell(result, status)
        except (StoreAway, StoreRefused) as error:
            log.error("commitment_not_told", error=error, association=result.source.association)
            return
        outcome = "lost" if status is None else "delivered" if is_taken(status) else "refused"
        metrics.COMMITMENT_REPORTS.labels("-", outcome).inc()
        log.info("commitment_told", association=result.source.association, status=status)


def _size(result: CommitmentResult) -> int:
    return len(result.committed) + len(result.failed) + _RESULT


def _notification(asker: _Asker, result: CommitmentResult) -> Notification:
    # Both at once: it may ask in another context meanwhile.
    context_id, transfer_syntax = asker.context
    implicit = transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN
    data = encoded(data_set(result), implicit, transfer_syntax != EXPLICIT_VR_BIG_ENDIAN)
    command = partial(event_report, sop_class=STORAGE_COMMITMENT, sop_instance=INSTANCE, event_type=event_type(result))
    return Notification(context_id, command, data or b"")
