"""What every runner on every log must do: one suite, run on the fake and on the broker.

A module that runs it defines the fixture `bench`.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace

import pytest
from msgspec import structs

from schemas import load_subjects
from streams.events import InstanceReceived, InstanceValidated
from streams.log import LogRefused, OffsetOutOfRange, TopicPartition
from streams.memory_store import MemoryStore
from streams.objects import Absent, StoreAway, StoreRefused
from streams.origin import original
from streams.runner_settings import RunnerSettings
from streams.step import DeadLetter, Done, Input, NewObject, Quarantine, RetryLater, Stored, TopicChanged
from streams.stop import Stop
from streams.wire import PREFIX, Message, SchemaIds, UnknownSchema, decode, encode
from tests.hooked_log import Crash, Hooks, everything
from tests.runner_bench import (
    DEAD_LETTERS,
    GROUP,
    IMPATIENT,
    QUARANTINED,
    QUICK,
    RECEIVED,
    RETRY,
    VALIDATED,
    Bench,
    arrivals,
    done,
    verdict_id,
)
from tests.waiting import wait_until

GIVEN_UP = "00000000-0000-5000-8000-000000000001"


class Fuse:
    """Raises at the `number`-th call."""

    def __init__(self, number: int) -> None:
        self._left = number

    def __call__(self, *_: object) -> None:
        self._left -= 1
        if self._left == 0:
            raise Crash


class StoreThatDies(MemoryStore):
    """Shares the objects of `kept`, and dies after the `number`-th put."""

    def __init__(self, kept: MemoryStore, number: int) -> None:
        self.__dict__ = kept.__dict__ | {"fuse": Fuse(number)}
        self._fuse = Fuse(number)

    def create(self, new: NewObject) -> Stored:
        stored = super().create(new)
        self._fuse()
        return stored


class StoreThatIsAway(MemoryStore):
    def __init__(self, kept: MemoryStore) -> None:
        self.__dict__ = kept.__dict__
        self.away = threading.Event()
        self.tried = threading.Event()

    def create(self, new: NewObject) -> Stored:
        if self.away.is_set():
            self.tried.set()
            raise StoreAway("no answer")
        return super().create(new)


class StoreThatRefuses(MemoryStore):
    """The first object that it is given, however often that comes; it takes all others."""

    def __init__(self, kept: MemoryStore) -> None:
        self.__dict__ = kept.__dict__
        self.refused: set[str] = set()

    def create(self, new: NewObject) -> Stored:
        if not self.refused or new.key in self.refused:
            self.refused.add(new.key)
            raise StoreRefused("the object store refuses an object of 5 bytes (EntityTooLarge)")
        return super().create(new)


def kept(bench: Bench) -> MemoryStore:
    assert isinstance(bench.store, MemoryStore)
    return bench.store


class RunnerSuite:
    # Order, lineage, the ordinary life.

    def test_every_record_becomes_its_output_in_order(self, bench: Bench) -> None:
        events = {lane: arrivals(lane=lane) for lane in ("stat", "routine", "bulk")}
        member = bench.member()
        for some in events.values():
            bench.send(some)
        bench.until_done()
        member.stop()
        for lane, some in events.items():
            bench.check(some, lane)
            assert len(bench.verdicts(lane)) == len(some), "an undisturbed run makes no duplicates"

    def test_outputs_carry_the_trace_and_the_input_on(self, bench: Bench) -> None:
        event = arrivals(1, 1)[0]
        trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        (sent,) = bench.write([encode(event, SchemaIds(), source="test", extra=(("traceparent", trace),))])
        bench.member()
        bench.until_done()
        (record,) = everything(bench.log, VALIDATED)
        assert record.header("input_id") == event.meta.event_id
        carried = (record.header("traceparent") or "").split("-")
        assert carried[1] == "4bf92f3577b34da6a3ce929d0e0e4736"
        assert carried[2] != "00f067aa0ba902b7"
        (verdict,) = bench.verdicts()
        (used,) = verdict.provenance.inputs
        assert (used.topic, used.topic_id) == (RECEIVED, bench.log.topic_id(RECEIVED))
        assert (used.partition, used.offset) == (sent.partition, sent.offset)

    def test_the_most_urgent_lane_goes_first(self, bench: Bench) -> None:
        gate = threading.Event()
        order: list[str] = []

        def decide(item: object) -> None:
            assert gate.wait(600)
            order.append(item.event.meta.lane)  # type: ignore[attr-defined]

        seen: Counter[str] = Counter()
        polled = Hooks(polled=lambda records: seen.update(record.topic for record in records))
        bench.send(arrivals(lane="bulk") + arrivals(lane="stat"))
        bench.member(decide, replace_settings(threads=1, batch_max=1), polled)
        wait_until(lambda: seen.total() == 120, "both lanes being read")
        gate.set()
        bench.until_done()
        # What was handed out before the stat lane was read does not count.
        assert order.index("bulk", 2) > 55 if "bulk" in order[:2] else order[:60] == ["stat"] * 60

    def test_back_pressure_pauses_what_is_read(self, bench: Bench) -> None:
        gate, read = threading.Event(), Counter[int]()
        polled = Hooks(polled=lambda records: read.update(record.partition for record in records))
        events = arrivals(1, 1500)
        bench.send(events)
        member = bench.member(lambda _: (gate.wait(600), None)[1], replace_settings(in_flight_max=100), polled)
        wait_until(lambda: read.total() >= 100, "the first records")
        flows = member.runner._flows
        wait_until(lambda: any(flow.paused for flow in flows.values()), "the partition being paused")
        # One poll may bring more than there is room for, and no more come.
        assert read.total() <= 100 + 256
        gate.set()
        bench.until_done()
        bench.check(events)

    # Crashes.

    @pytest.mark.parametrize("at", ["before_commit", "after_put", "after_emit", "before_emit"])
    def test_nothing_is_lost_and_nothing_happens_twice_after_a_crash(self, bench: Bench, at: str) -> None:
        events = arrivals()
        hooks, store = Hooks(), bench.store
        match at:
            case "before_commit":
                hooks.before_commit = Fuse(1)
            case "after_put":
                store = StoreThatDies(kept(bench), 25)
            case "after_emit":
                hooks.after_send = Fuse(25)
            case "before_emit":
                hooks.before_send = Fuse(25)
        bench.send(events)
        first = bench.member(hooks=hooks, store=store)
        assert isinstance(first.ended(), Crash)
        first.crash()
        second = bench.member()
        bench.until_done()
        second.stop()
        bench.check(events)

    def test_sigterm_ends_what_is_in_hand_and_commits_it(self, bench: Bench) -> None:
        events = arrivals(6, 50)
        reached = threading.Event()
        bench.send(events)
        first = bench.member(hooks=Hooks(after_send=lambda _: reached.set()))
        assert reached.wait(180)
        first.stop()
        done = len(bench.verdicts())
        assert bench.lag() == len(events) - done, "what was written is committed, and nothing else"
        second = bench.member()
        bench.until_done()
        second.stop()
        bench.check(events)
        assert len(bench.verdicts()) == len(events), "a clean end makes no duplicates"

    # The group.

    def test_a_rebalance_in_mid_batch(self, bench: Bench) -> None:
        events = arrivals(12, 40)
        first = bench.member(slowly(0.02))
        bench.send(events[:240])
        wait_until(lambda: len(bench.verdicts()) > 20, "the first verdicts")
        second = bench.member(slowly(0.005))
        wait_until(lambda: second.runner._flows and first.runner._flows, "a share for both")
        bench.send(events[240:])
        wait_until(lambda: len(bench.verdicts()) > 300, "more verdicts")
        first.stop()
        bench.until_done()
        second.stop()
        bench.check(events)

    def test_a_zombie_abandons_what_it_holds(self, bench: Bench) -> None:
        events = arrivals()
        stalled, go_on = threading.Event(), threading.Event()

        def stall(_: object) -> None:
            if not stalled.is_set():
                stalled.set()
                assert go_on.wait(600)

        zombie = bench.member(hooks=Hooks(before_commit=stall))
        bench.send(events)
        assert stalled.wait(180)
        bench.expel(zombie)
        second = bench.member()
        bench.until_done()
        committed = bench.log.committed(GROUP, bench.partitions())
        go_on.set()
        more = arrivals()
        bench.send(more)
        bench.until_done()
        after = bench.log.committed(GROUP, bench.partitions())
        assert all((after[name] or 0) >= (offset or 0) for name, offset in committed.items())
        assert zombie.error is None
        zombie.stop()
        second.stop()
        bench.check(events + more)

    def test_a_slow_step_does_not_hold_a_rebalance_up(self, bench: Bench) -> None:
        events = arrivals(6, 4)
        release, begun = threading.Event(), threading.Event()

        def hang(_: object) -> None:
            begun.set()
            assert release.wait(600)

        first = bench.member(hang, replace_settings(deadline_s=0.3))
        bench.send(events)
        assert begun.wait(180)
        second = bench.member()
        wait_until(lambda: second.runner._flows, "a share for the second member while the first one's step hangs")
        first.context.stopping.set()
        assert first.ended() is None
        bench.until_done()
        release.set()
        second.stop()
        bench.check(events)

    # Records that are at fault.

    def test_a_poison_record_becomes_a_dead_letter_with_its_bytes(self, bench: Bench) -> None:
        events = arrivals()
        by_exception, by_outcome, quarantined = (event.meta.subject for event in events[:3])

        def decide(item: object) -> object:
            subject = item.event.meta.subject  # type: ignore[attr-defined]
            if subject == by_exception:
                raise ValueError("DOE^JANE 19500101")
            if subject == by_outcome:
                return DeadLetter("contradicts itself")
            return Quarantine("truncated", "too short") if subject == quarantined else None

        good = encode(events[4], SchemaIds(), source="test")
        bad = replace(good, value=b"\0\0\0\0\1garbage", headers=(*good.headers, ("note", b"kept")))
        bare = replace(good, key=b"k", value=None, headers=())
        bench.send(events[:30])
        places = bench.write([bad, bare])
        bench.send(events[30:])
        member = bench.member(decide)
        bench.until_done()
        member.stop()
        bench.check(events[3:])
        dead = {original(record).value: record for record in everything(bench.log, DEAD_LETTERS)}
        assert len(dead) == 4
        assert original(dead[bad.value]).headers == bad.headers
        assert original(dead[bad.value]).key == bad.key
        assert original(dead[bare.value]).headers == ()
        found = original(dead[bad.value])
        assert (found.topic, found.topic_id) == (RECEIVED, bench.log.topic_id(RECEIVED))
        assert (found.partition, found.offset) == (places[0].partition, places[0].offset)
        assert dead[bad.value].header("origin_group") == GROUP
        reasons = [record.header("reason") or "" for record in dead.values()]
        assert any(reason.startswith("ValueError at tests.runner_suite:") for reason in reasons)
        assert "contradicts itself" in reasons
        assert not any("DOE" in reason for reason in reasons)
        (record,) = everything(bench.log, QUARANTINED)
        event = decode(record)
        assert (event.meta.subject, event.code) == (quarantined, "truncated")  # type: ignore[attr-defined]

    def test_whose_object_the_store_refuses_becomes_a_dead_letter_and_the_others_go_on(self, bench: Bench) -> None:
        events = arrivals()
        store = StoreThatRefuses(kept(bench))
        bench.send(events)
        bench.member(store=store, settings=replace_settings(threads=1))
        bench.until_done()
        (dead,) = everything(bench.log, DEAD_LETTERS)
        assert dead.header("reason") == "the object store refuses an object of 5 bytes (EntityTooLarge)"
        refused = decode(original(dead))
        bench.check([event for event in events if event != refused])
        assert len(bench.verdicts()) == len(events) - 1

    def test_the_dead_letter_limit_stops_before_the_record_and_keeps_it(self, bench: Bench) -> None:
        events = arrivals(1, 8)
        good = [encode(event, SchemaIds(), source="test") for event in events]
        bad = [replace(message, value=b"garbage") for message in good[:5]]
        places = bench.write([*good[:2], *bad])
        limited = replace_settings(dead_letters_max=3)
        stop = bench.member(settings=limited).ended()
        assert isinstance(stop, Stop)
        assert "more than 3 dead letters" in stop.reason
        assert len(everything(bench.log, DEAD_LETTERS)) == 3
        partition = TopicPartition(places[0].topic.removeprefix(bench.prefix), places[0].partition)
        assert bench.log.committed(GROUP, [partition])[partition] == places[5].offset
        again = bench.member(settings=limited).ended()
        assert isinstance(again, Stop), "a restart does not clear the count"
        bench.member(settings=replace_settings(dead_letters_max=10))
        bench.until_done()
        assert len(everything(bench.log, DEAD_LETTERS)) == 5
        bench.check(events[:2])

    def test_an_unknown_schema_stops_before_the_record(self, bench: Bench) -> None:
        events = arrivals(1, 4)
        messages = [encode(event, SchemaIds(), source="test") for event in events]
        newer = tuple((name, b"99" if name == "schema_version" else value) for name, value in messages[2].headers)
        places = bench.write([*messages[:2], replace(messages[2], headers=newer), messages[3]])
        stop = bench.member().ended()
        assert isinstance(stop, Stop)
        assert "version 99" in stop.reason
        partition = TopicPartition(RECEIVED, places[0].partition)
        assert bench.log.committed(GROUP, [partition])[partition] == places[2].offset
        bench.check(events[:2])
        assert everything(bench.log, DEAD_LETTERS) == []

    def test_an_unknown_schema_in_what_a_step_looks_up_stops_before_the_record(self, bench: Bench) -> None:
        """It is no fault of the record: none of them is a dead letter because of a newer producer elsewhere."""

        events = arrivals(1, 4)

        def newer_elsewhere(item: Input[InstanceReceived]) -> None:
            if item.event.meta.subject == events[2].meta.subject:
                raise UnknownSchema("imaging.instance.quarantined version 99")

        bench.send(events)
        stop = bench.member(newer_elsewhere).ended()
        assert isinstance(stop, Stop)
        assert "version 99" in stop.reason
        bench.check(events[:2])
        assert everything(bench.log, DEAD_LETTERS) == []

    # The world is at fault.

    def test_one_subject_that_must_wait_is_parked_and_the_rest_go_on(self, bench: Bench) -> None:
        events = arrivals()
        late, tries, open_now = events[5].meta.subject, Counter[str](), threading.Event()

        def decide(item: object) -> RetryLater | None:
            subject = item.event.meta.subject  # type: ignore[attr-defined]
            tries[subject] += 1
            return RetryLater("not there yet", "subject") if subject == late and not open_now.is_set() else None

        bench.send(events)
        bench.member(decide)
        others = [event for event in events if event.meta.subject != late]
        wait_until(lambda: len(bench.verdicts()) == len(others), "the rest")
        bench.check(others)
        wait_until(lambda: tries[late] > 4, "a try after it was parked")
        open_now.set()
        bench.until_done()
        (verdict,) = [event for event in bench.verdicts() if event.meta.subject == late]
        (used,) = verdict.provenance.inputs
        assert used.topic == RECEIVED, "the lineage names the record, not where it waited"
        assert max(count for subject, count in tries.items() if subject != late) == 1
        waited = everything(bench.log, RETRY)
        assert [int(record.header("retry_attempt") or 0) for record in waited] == list(range(1, len(waited) + 1))
        assert everything(bench.log, DEAD_LETTERS) == []

    def test_a_subject_that_waits_in_vain_ends_as_a_dead_letter(self, bench: Bench) -> None:
        events = arrivals(1, 3)

        def decide(item: object) -> None:
            if item.event.meta.subject == events[0].meta.subject:  # type: ignore[attr-defined]
                raise Absent("no such object")

        bench.send(events)
        bench.member(decide, replace_settings(attempts_max=2))
        bench.until_done()
        (dead,) = everything(bench.log, DEAD_LETTERS)
        assert (dead.header("reason") or "").startswith("no success in 2 attempts")
        assert (original(dead).topic, decode(original(dead))) == (RECEIVED, events[0])
        bench.check(events[1:])

    def test_a_subject_with_a_bound_of_its_own_is_parked_so_often_and_ends_with_what_can_be_said(
        self, bench: Bench
    ) -> None:
        events = arrivals(2, 3)
        slow, tries = events[0].meta.subject, Counter[str]()

        def decide(item: object) -> RetryLater | None:
            subject = item.event.meta.subject  # type: ignore[attr-defined]
            tries[subject] += 1
            if subject != slow:
                return None
            last = structs.replace(events[0].meta, event_id=GIVEN_UP)
            verdict = InstanceValidated(
                meta=last,
                provenance=events[0].provenance,
                instance=events[0].instance,
                object=events[0].object,
                technical=events[0].technical,
            )
            return RetryLater("slow", "subject", 2, meanwhile=done(item), given_up=Done.emit(verdict))

        bench.send(events)
        bench.member(decide)
        bench.until_done()
        assert tries == {event.meta.subject: 3 if event.meta.subject == slow else 1 for event in events}
        assert len(everything(bench.log, RETRY)) == 2
        (dead,) = everything(bench.log, DEAD_LETTERS)
        assert dead.header("reason") == "no success in 2 attempts: slow"
        said = Counter(event.meta.event_id for event in bench.verdicts())
        assert said.pop(GIVEN_UP) == 1
        assert said.pop(verdict_id(events[0])) == 3
        assert set(said.values()) == {1}
        assert len(said) == 5

    def test_what_waits_for_its_turn_is_parked_once_and_then_tried_again_in_place(self, bench: Bench) -> None:
        events = arrivals()
        late, tries, open_now = events[5].meta.subject, Counter[str](), threading.Event()

        def decide(item: object) -> RetryLater | None:
            subject = item.event.meta.subject  # type: ignore[attr-defined]
            tries[subject] += 1
            return RetryLater("another has it", "turn", 1) if subject == late and not open_now.is_set() else None

        bench.send(events)
        bench.member(decide)
        wait_until(lambda: len(bench.verdicts()) == len(events) - 1, "the rest")
        bench.check([event for event in events if event.meta.subject != late])
        wait_until(lambda: tries[late] > 4, "more tries than it may be parked")
        open_now.set()
        bench.until_done()
        assert len(bench.verdicts()) == len(events)
        assert len(everything(bench.log, RETRY)) == 1
        assert everything(bench.log, DEAD_LETTERS) == []

    def test_while_the_store_is_away_everybody_waits_and_nothing_is_parked(self, bench: Bench) -> None:
        events = arrivals()
        store = StoreThatIsAway(kept(bench))
        store.away.set()
        bench.send(events)
        member = bench.member(store=store)
        assert store.tried.wait(180)
        wait_until(lambda: "step" in member.context.health.failing(), "readiness saying so")
        assert bench.verdicts() == []
        store.away.clear()
        bench.until_done()
        wait_until(lambda: "step" not in member.context.health.failing(), "readiness being back")
        bench.check(events)
        assert everything(bench.log, RETRY) == []
        assert everything(bench.log, DEAD_LETTERS) == []

    def test_while_the_log_is_away_nothing_is_lost(self, bench: Bench) -> None:
        events = arrivals()
        reached = threading.Event()
        bench.send(events)
        member = bench.member(slowly(0.02), IMPATIENT, Hooks(after_send=lambda _: reached.set()))
        assert reached.wait(180)
        with bench.away():
            bench.until_noticed()
        bench.until_done()
        member.stop()
        bench.check(events)

    def test_nothing_overtakes_a_record_that_was_given_up(self, bench: Bench) -> None:
        """While the log is away from the first record of a study on, the others come one by one, so each would be
        given up at a time of its own."""
        events = arrivals(1, 10)
        reached, gone = threading.Event(), threading.Event()

        def before_send(_: Message) -> None:
            reached.set()
            assert gone.wait(600)

        bench.send(events)
        one_by_one = structs.replace(IMPATIENT, threads=1, batch_max=1)
        member = bench.member(slowly(0.3), one_by_one, Hooks(before_send=before_send))
        assert reached.wait(180)
        with bench.away():
            gone.set()
            bench.until_noticed()
        bench.until_done()
        member.stop()
        bench.check(events)

    def test_with_the_registry_down_records_flow_and_a_service_that_starts_joins_in(self, bench: Bench) -> None:
        events = arrivals()
        bench.member(slowly(0.01))
        bench.send(events[:20])
        wait_until(lambda: bench.verdicts(), "the first verdicts")
        with bench.registry_down():
            bench.send(events[20:40])
            bench.member()
            bench.until_done()
            bench.check(events[:40])
        bench.send(events[40:])
        bench.until_done()
        bench.check(events)
        for topic in (RECEIVED, VALIDATED):
            numbers = {PREFIX.unpack_from(record.value or b"")[1] for record in everything(bench.log, topic)}
            assert numbers == {bench.ids.of(load_subjects()[topic].latest)}, "everybody else reads by these ids"
        assert everything(bench.log, DEAD_LETTERS) == []

    # The log is not what it was.

    def test_offsets_that_the_log_no_longer_has_stop_the_consumer(self, bench: Bench) -> None:
        events = arrivals(1, 7)
        (place, *_) = bench.send(events[:3])
        first = bench.member()
        bench.until_done()
        first.stop()
        bench.send(events[3:])
        partition = TopicPartition(RECEIVED, place.partition)
        bench.trim(bench.log.real(partition), 6)
        assert isinstance(bench.member().ended(), OffsetOutOfRange)
        assert bench.log.committed(GROUP, [partition])[partition] == 3
        bench.check(events[:3])

    def test_a_recreated_topic_stops_the_consumer(self, bench: Bench) -> None:
        events = arrivals()
        bench.send(events)
        member = bench.member()
        bench.until_done()
        bench.delete_topic(bench.prefix + RECEIVED)
        bench.make_topic(bench.prefix + RECEIVED, 3)
        # Of a study that was there before: where the old topic held nothing, the new one is read as if it were the old.
        another = structs.replace(events[0], meta=structs.replace(events[0].meta, subject="f" * 64))
        wait_until(lambda: bench.send([another]), "the new topic taking records")
        error = member.ended()
        assert isinstance(error, TopicChanged | OffsetOutOfRange | LogRefused)
        bench.check(events)


def slowly(seconds: float):
    """A step that takes its time, in a way that a deadline could interrupt."""
    never = threading.Event()
    return lambda _: (never.wait(seconds), None)[1]


def replace_settings(**changes: object) -> RunnerSettings:
    return structs.replace(QUICK, **changes)
