"""When the runner gives up what the log does not acknowledge, and what of that is seen elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace

import pytest
from msgspec import structs

from streams.events import InstanceReceived
from streams.flow import Flow, Item
from streams.log import Delivery, LogAway, LogRefused, TopicPartition
from streams.memory_log import MemoryLog, MemoryProducer
from streams.result import Emit
from streams.sizes import CLIENT_BYTES_MAX
from streams.step import Done, Input, Stored
from streams.wire import Message, SchemaIds, encode
from tests.hooked_log import Hooks, everything
from tests.runner_bench import DEAD_LETTERS, QUICK, RECEIVED, arrivals, done
from tests.unit.test_runner_on_memory_log import MemoryBench
from tests.waiting import wait_until

Answer = Callable[[int], "bool | None"]
"""Of the how manieth record of the first producer: True that the log takes it, False that it fails, None no answer."""

SOON = structs.replace(QUICK, threads=1, batch_max=10, acknowledged_s=0.3)


class Answering(MemoryLog):
    """The first producer that a runner makes answers as it is told; what it does not answer fails when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: Answer | None = None
        self.made: list[Scripted] = []

    def producer(
        self, *, linger_ms: int = 5, record_bytes_max: int = CLIENT_BYTES_MAX, patient: bool = False
    ) -> MemoryProducer:
        if not patient or self.answer is None:
            return MemoryProducer(self, record_bytes_max)
        self.made.append(Scripted(self, record_bytes_max, self.answer if not self.made else lambda _: True))
        return self.made[-1]


class Scripted(MemoryProducer):
    def __init__(self, log: MemoryLog, record_bytes_max: int, answer: Answer) -> None:
        super().__init__(log, record_bytes_max)
        self.answer, self.sent = answer, 0
        self.waiting: list[Future[Delivery]] = []
        self.queued: list[Message] = []

    def send(self, message: Message) -> Future[Delivery]:
        self.sent += 1
        match self.answer(self.sent):
            case True:
                return super().send(message)
            case False:
                failed: Future[Delivery] = Future()
                failed.set_exception(LogAway("not this one"))
                return failed
        self.waiting.append(Future())
        self.queued.append(message)
        return self.waiting[-1]

    def close(self, timeout_s: float) -> int:
        """Whoever gives it time gets what is queued written."""
        for future, message in zip(self.waiting, self.queued, strict=True):
            if not future.done() and timeout_s:
                future.set_result(super().send(message).result())
            elif not future.done():
                future.set_exception(LogAway("given up"))
        return len(self.waiting)


@pytest.fixture
def log() -> Answering:
    return Answering()


@pytest.fixture
def bench(log: Answering) -> Iterator[MemoryBench]:
    made = MemoryBench(log)
    yield made
    made.close()


def twice(item: Input[InstanceReceived]) -> Done:
    """The verdict, and it once more: two records of one input."""
    made = done(item)

    def events(stored: tuple[Stored, ...]) -> list[object]:
        return [*made.events(stored), *made.events(stored)]

    return Done(made.objects, events)


def test_what_is_never_answered_is_given_up_and_written_again_in_its_order(log: Answering, bench: MemoryBench) -> None:
    events = arrivals(2, 10)
    log.answer = lambda number: True if number < 4 else None
    bench.send(events)
    bench.member(settings=SOON)
    bench.until_done()
    bench.check(events)
    assert len(log.made) > 1
    assert all(future.done() for future in log.made[0].waiting)


def test_one_record_of_two_that_fails_at_once_is_enough(log: Answering, bench: MemoryBench) -> None:
    """The other one has no answer yet; what comes behind would be taken."""
    events = arrivals(1, 6)
    log.answer = lambda number: {1: None, 2: False}.get(number, True)
    bench.send(events)
    bench.member(twice, SOON)
    bench.until_done()
    bench.check(events)


def test_a_failure_is_seen_before_what_is_ready_is_written(log: Answering, bench: MemoryBench) -> None:
    """Both come in one turn of the runner: the second image's verdict, and that the first one's was not taken."""
    events = arrivals(1, 2)
    log.answer = lambda number: None if number == 1 else True
    begun, judged = threading.Event(), threading.Event()

    def decide(item: Input[InstanceReceived]) -> None:
        assert item.event != events[1] or judged.wait(30)

    def polled(_: object) -> None:
        if begun.is_set() and log.made[0].waiting and not judged.is_set():
            judged.set()
            wait_until(lambda: not member.runner._woken.empty(), "the second verdict")
            log.made[0].waiting[0].set_exception(LogAway("not this one"))

    bench.send(events)
    member = bench.member(decide, structs.replace(SOON, batch_max=1, acknowledged_s=30.0), Hooks(polled=polled))
    begun.set()
    bench.until_done()
    bench.check(events)


def test_what_is_queued_behind_a_refused_record_is_not_written_any_more(log: Answering, bench: MemoryBench) -> None:
    """It would be before it, once a person has mended what it was refused for."""
    events = arrivals(1, 8)
    log.answer = lambda number: True if number == 1 else None
    bench.send(events)
    member = bench.member(settings=structs.replace(SOON, acknowledged_s=30.0))
    wait_until(lambda: log.made and len(log.made[0].waiting) == 7, "all of it being sent")
    log.made[0].waiting[0].set_exception(LogRefused("not this one"))
    assert isinstance(member.ended(), LogRefused)
    bench.check(events[:1])
    bench.member()
    bench.until_done()
    bench.check(events)


def test_a_dead_letter_that_is_written_again_counts_once(bench: MemoryBench) -> None:
    messages = [encode(event, SchemaIds(), source="test") for event in arrivals(1, 5)]
    bench.write([*(replace(message, value=b"garbage") for message in messages[:3]), *messages[3:]])
    limited = structs.replace(SOON, dead_letters_max=3)
    member = bench.member(settings=limited, hooks=bench.away_for_one_record())
    wait_until(lambda: bench.lag() == 0 or member.error, "all of it being done")
    assert member.error is None
    assert len(everything(bench.log, DEAD_LETTERS)) == 3


def test_a_log_that_takes_one_record_after_the_other_is_slow_and_not_away() -> None:
    """As fast as it can, it needs longer for all that is queued than one record is waited for."""
    flow = Flow(TopicPartition(RECEIVED, 0))
    queued = [_sent(flow, offset) for offset in range(3)]
    for number, future in enumerate(queued, start=1):
        assert flow.waits_since() == pytest.approx(max(0.0, (number - 1) * 20.0))
        future.set_result(Delivery("topic", 0, number))
        flow.settle(number * 20.0)
    assert flow.waits_since() == float("inf")


def _sent(flow: Flow, offset: int) -> Future[Delivery]:
    future: Future[Delivery] = Future()
    item = Item(None, offset, result=Emit((), "done"), sent=(future,))
    flow.accept(item)
    flow.sent(item)
    return future
