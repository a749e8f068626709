"""What a pure step's results lead to: records written, waits, parking, dead letters, a stop."""

from __future__ import annotations

import structlog

from streams import metrics
from streams.backoff import Backoff
from streams.deadletters import DeadLetterLimit, dead_letter
from streams.flow import Flow, Item
from streams.log import Producer
from streams.parking import parked
from streams.result import Dead, Emit, Halt, Result, Wait
from streams.runner_settings import RunnerSettings
from streams.service import Context
from streams.sizes import RECORD_BYTES_MAX, size_of
from streams.stop import Stop
from streams.wire import Message

# A subject gets a second and a third chance at once: most of what goes away comes back within a second.
_QUICK_TRIES = 2
_QUICK = Backoff(0.1, 0.5)
_TURN = Backoff(0.2, 2.0)
# Some ten seconds. Then it is parked again: where many wait for one that is slow, they would fill what is in flight,
# and those behind them in the partition would wait too.
_TURNS_MAX = 8


class Outcomes:
    """Used from the runner's own thread only. `producer` is the runner's, which changes it."""

    def __init__(
        self, context: Context, group: str, settings: RunnerSettings, producer: Producer, limit: DeadLetterLimit
    ) -> None:
        self._context = context
        self._group = group
        self._settings = settings
        self._limit = limit
        self.producer = producer

    def arrived(self, flow: Flow, items: list[Item], results: list[Result]) -> None:
        """Takes the results of items. Those that must wait stay without one."""
        now_s = self._context.clock.monotonic()
        for item, result in zip(items, results, strict=True):
            item.running = False
            if not isinstance(result, Wait):
                item.result = result
            elif result.scope == "turn" and not flow.ordered and item.tries < _TURNS_MAX:
                item.tries += 1
                item.due_s = now_s + _TURN.delay_s(item.tries)
            elif result.scope != "world":
                self._subject_waits(item, result, now_s)
        world = [result.reason for result in results if isinstance(result, Wait) and result.scope == "world"]
        if not world:
            flow.waits = 0
        elif now_s >= flow.hold_s:
            self.hold(flow, world[0])

    def hold(self, flow: Flow, reason: str) -> None:
        """Nothing new of this partition is begun for a while; longer each time in a row."""
        flow.waits += 1
        wait_s = self._settings.world_backoff.delay_s(flow.waits)
        flow.hold_s = self._context.clock.monotonic() + wait_s
        # A hundred partitions that wait for a weekend: each time that the number doubles is enough.
        if reason != flow.waits_for or flow.waits & (flow.waits - 1) == 0:
            flow.waits_for = reason
            structlog.get_logger().warning(
                "partition_waits", **_place(flow), reason=reason, again_s=round(wait_s, 3), times=flow.waits
            )

    def _subject_waits(self, item: Item, wait: Wait, now_s: float) -> None:
        item.tries += 1
        attempt = item.attempt + 1
        attempts_max = self._settings.attempts_max if wait.attempts_max is None else wait.attempts_max
        if wait.attempts_max is None and item.tries <= _QUICK_TRIES:
            item.due_s = now_s + _QUICK.delay_s(item.tries)
        elif attempt > attempts_max:
            reason = f"no success in {attempts_max} attempts: {wait.reason}"
            item.result = Dead(reason, (*wait.meanwhile, *wait.given_up))
        else:
            item.result = self._parked(item, wait, attempt)

    def _parked(self, item: Item, wait: Wait, attempt: int) -> Result:
        wait_s = self._settings.park_backoff.delay_s(attempt)
        now = self._context.clock.now()
        message = parked(item.record, self._group, wait.reason, now, attempt=attempt, wait_s=wait_s)
        if size_of(message) > RECORD_BYTES_MAX:
            return Dead(f"too large to be parked: {wait.reason}", (*wait.meanwhile, *wait.given_up))
        return Emit((*wait.meanwhile, message), "parked")

    def write(self, flow: Flow, item: Item) -> None:
        """Writes what became of an item. Raises Stop; the item is then neither written nor committed.

        Raises LogAway or LogRefused where the log said so at once: what is next must not be written then.
        """
        match item.result:
            case Halt(reason):
                raise Stop(f"{self._said(item)}: {reason}")
            case Dead(reason, beside):
                messages, outcome = (*beside, self._dead_letter(item, reason)), "deadletter"
            case Emit(messages, outcome):
                pass
        flow.sent(item)
        for message in messages:
            item.sent = (*item.sent, self.producer.send(message))
            item.acknowledged()
        item.sent_s = self._context.clock.monotonic()
        metrics.RECORDS.labels(self._group, item.record.topic, outcome).inc()
        if outcome == "parked":
            metrics.PARKED.labels(self._group).inc()

    def _dead_letter(self, item: Item, reason: str) -> Message:
        if not self._limit.admits(item.record):
            raise Stop(self._limit.exceeded(self._said(item), reason))
        metrics.DEAD_LETTERS.labels(self._group).inc()
        structlog.get_logger().error(
            "record_dead_lettered",
            topic=item.record.topic,
            partition=item.record.partition,
            offset=item.record.offset,
            reason=reason,
        )
        return dead_letter(item.record, self._group, reason, self._context.clock.now())

    def _said(self, item: Item) -> str:
        return f"{item.record.topic}/{item.record.partition} offset {item.record.offset}"


def _place(flow: Flow) -> dict[str, object]:
    return {"topic": flow.name.topic, "partition": flow.name.partition}
