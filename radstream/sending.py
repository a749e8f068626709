"""Sends objects by C-STORE or STOW-RS, over several associations at once, and says how each was answered."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from radstream.items import Item, items_of
from radstream.sending_batches import Batch, batches
from streams.store_scu import Lost, NoAssociation, NotTaken

SUCCESS: Final = 0x0000
TRY_AGAIN: Final = 0xA700
# Kept, with a remark, as are 0xB000 to 0xBFFF (PS3.4 table B.2-1, PS3.7 annex C).
_WARNINGS: Final = frozenset((0x0001, 0x0107, 0x0116))
CALLING_AE: Final = "RADSEND"
RETRIES: Final = 3
# Why an object was not sent, where a person ended it.
INTERRUPTED: Final = "interrupted"
_BACKOFF_S, _BACKOFF_S_MAX = 0.5, 8.0


class Scu(Protocol):
    """One association, or what stands for it: used from one thread."""

    def store(self, sop_class: str, sop_instance: str, transfer_syntax: str, data_set: bytes) -> int:
        """Sends one object and waits for its C-STORE status. Raises NoAssociation, NotTaken, Lost."""

    def close(self) -> None: ...

    def abort(self) -> None: ...


class Destination(Protocol):
    """Whom to send to; as text, as a person would name it."""

    def open(self, calling_ae: str, contexts: Sequence[tuple[str, str]]) -> Scu:
        """For each (SOP class, transfer syntax). Raises NoAssociation."""


@dataclass(frozen=True)
class Sent:
    """How one object was answered. `status` is None where it was not, and `reason` says why."""

    name: str
    status: int | None
    size: int
    seconds: float
    reason: str = ""


@dataclass(frozen=True)
class SendResult:
    """`statuses` counts answers by status, four hexadecimal digits. Times are of acknowledged objects alone.

    `warned` are those that were kept with a warning: coerced, say.
    """

    files: int
    statuses: dict[str, int]
    bytes: int
    seconds: float
    p50_ms: float | None
    p99_ms: float | None
    warned: list[dict[str, str]]
    refused: list[dict[str, str]]
    unsent: list[dict[str, str]]

    @property
    def acknowledged(self) -> int:
        return self.statuses.get(f"{SUCCESS:04X}", 0) + len(self.warned)


class Interrupted(KeyboardInterrupt):
    """`result` has every item: those that were answered before, and the others as not sent."""

    def __init__(self, result: SendResult) -> None:
        super().__init__()
        self.result = result


def send_files(
    paths: Iterable[Path],
    target: Destination,
    *,
    associations: int = 1,
    calling_ae: str = CALLING_AE,
    retries: int = RETRIES,
    on_sent: Callable[[Sent], None] = lambda _: None,
) -> SendResult:
    """Sends every file in `paths` and below. Raises Failure for a path that cannot be read, Interrupted."""
    items = items_of(paths)
    return send_items(items, target, associations=associations, calling_ae=calling_ae, retries=retries, on_sent=on_sent)


def send_items(
    items: Iterable[Item],
    target: Destination,
    *,
    associations: int = 1,
    calling_ae: str = CALLING_AE,
    retries: int = RETRIES,
    on_sent: Callable[[Sent], None] = lambda _: None,
) -> SendResult:
    """Sends every item once; 0xA700 and lost associations are tried again `retries` times, with growing pauses.

    `on_sent` is called as each is settled, from one thread at a time. Whatever happens, each item is in the result.
    KeyboardInterrupt ends it once what is under way is answered, and is raised as Interrupted.
    """
    started = time.monotonic()
    sent: list[Sent] = []
    lock, stopping = threading.Lock(), threading.Event()

    def settle(one: Sent) -> None:
        with lock:
            sent.append(one)
            on_sent(one)

    # All are read before the first is sent: who interrupts that has sent nothing.
    for batch in list(batches(items)):
        reason = "not sent"
        with ThreadPoolExecutor(associations, thread_name_prefix="send") as pool:
            workers = [_Worker(batch, target, calling_ae, retries, settle, stopping) for _ in range(associations)]
            try:
                reason = next(filter(None, list(pool.map(_Worker.run, workers))), reason)
            except KeyboardInterrupt:
                stopping.set()
        for item in batch.items:
            settle(Sent(item.name, None, 0, 0.0, INTERRUPTED if stopping.is_set() else reason))
    result = _result(sent, time.monotonic() - started)
    if stopping.is_set():
        raise Interrupted(result)
    return result


class _Worker:
    """One association at a time, opened anew where it is lost."""

    def __init__(
        self,
        batch: Batch,
        target: Destination,
        calling_ae: str,
        retries: int,
        settle: Callable[[Sent], None],
        stopping: threading.Event,
    ) -> None:
        self._batch = batch
        self._target = target
        self._calling_ae = calling_ae
        self._retries = retries
        self._settle = settle
        self._stopping = stopping
        self._scu: Scu | None = None

    def run(self) -> str:
        """Takes items until none is left, or it is to stop; why it gave up, where it did."""
        try:
            while not self._stopping.is_set():
                try:
                    item = self._batch.items.popleft()
                except IndexError:
                    return ""
                try:
                    self._settle(self._send(item))
                except NoAssociation as error:
                    # Nobody answers: the rest is not tried one by one.
                    self._batch.items.appendleft(item)
                    return f"{self._target}: {error}{f'. {error.mend}' if error.mend else ''}"
            return ""
        finally:
            if self._scu is not None:
                self._scu.close()

    def _send(self, item: Item) -> Sent:
        try:
            data = item.data_set()
        except OSError as error:
            return Sent(item.name, None, 0, 0.0, f"cannot be read ({type(error).__name__})")
        answer = Sent(item.name, None, len(data), 0.0, "the association was lost before the answer")
        for attempt in range(self._retries + 1):
            if attempt and self._stops_while_pausing(attempt):
                break
            scu = self._open(attempt)
            started = time.monotonic()
            try:
                status = scu.store(item.sop_class, item.sop_instance, item.transfer_syntax, data)
            except NotTaken as error:
                return Sent(item.name, None, len(data), 0.0, str(error))
            except Lost:
                self._drop()
                continue
            except NoAssociation:
                if attempt == self._retries:
                    raise
                continue
            answer = Sent(item.name, status, len(data), time.monotonic() - started)
            if status != TRY_AGAIN:
                break
        return answer

    def _open(self, attempt: int) -> Scu:
        """The association. Raises NoAssociation after the last try."""
        while self._scu is None:
            try:
                self._scu = self._target.open(self._calling_ae, list(self._batch.contexts))
            except NoAssociation:
                attempt += 1
                if attempt > self._retries or self._stops_while_pausing(attempt):
                    raise
        return self._scu

    def _stops_while_pausing(self, attempt: int) -> bool:
        """Capped backoff with jitter, so that many senders do not come back at once."""
        delay_s = min(_BACKOFF_S * 2 ** (attempt - 1), _BACKOFF_S_MAX) * random.uniform(0.5, 1.0)  # noqa: S311
        return self._stopping.wait(delay_s)

    def _drop(self) -> None:
        if self._scu is not None:
            self._scu.abort()
            self._scu = None


def _result(sent: Sequence[Sent], seconds: float) -> SendResult:
    acknowledged = sorted(one.seconds for one in sent if one.status is not None and _is_kept(one.status))
    return SendResult(
        files=len(sent),
        statuses=dict(sorted(Counter(f"{one.status:04X}" for one in sent if one.status is not None).items())),
        bytes=sum(one.size for one in sent if one.status is not None and _is_kept(one.status)),
        seconds=round(seconds, 3),
        p50_ms=_percentile_ms(acknowledged, 50),
        p99_ms=_percentile_ms(acknowledged, 99),
        warned=[_answered(one) for one in sent if one.status is not None and _is_warning(one.status)],
        refused=[_answered(one) for one in sent if one.status is not None and not _is_kept(one.status)],
        unsent=[{"file": one.name, "reason": one.reason} for one in sent if one.status is None],
    )


def _answered(one: Sent) -> dict[str, str]:
    return {"file": one.name, "status": f"0x{one.status:04X}"}


def _is_kept(status: int) -> bool:
    return status == SUCCESS or _is_warning(status)


def _is_warning(status: int) -> bool:
    return status in _WARNINGS or status >> 12 == 0xB


def _percentile_ms(ordered: Sequence[float], percent: int) -> float | None:
    """Nearest rank."""
    if not ordered:
        return None
    return round(1000 * ordered[max(0, -(-len(ordered) * percent // 100) - 1)], 2)
