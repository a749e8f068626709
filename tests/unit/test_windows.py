"""What windows count, whose receipt a record has, and how the figures travel to `radstream lag --watch`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from prometheus_client import generate_latest

from radstream.lag_windows import Window, parsed
from streams.events import Derived, Event, InputRef, InstanceDerived, InstanceReceived, Provenance, Source, Technical
from streams.gauges import Board
from streams.windows.counts import Count, Key, total
from streams.windows.publishing import publish
from streams.windows.receipts import Receipt, Receipts, modality_of
from tests.deciding_world import World, new_world

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    return new_world()


def received(world: World, image: int, modality: str = "CT") -> InstanceReceived:
    like = world.validated(1, image, "routine", 1)
    meta = msgspec.structs.replace(like.meta, event_id=f"received-{image}", occurred_at=AT + timedelta(seconds=image))
    source = Source(protocol="dimse", calling_ae="A", called_ae="B", association="c")
    return InstanceReceived(
        meta=meta,
        provenance=Provenance(step="router", build="0", generation=0, config_digest=""),
        instance=like.instance,
        object=like.object,
        technical=Technical(modality=modality),
        source=source,
    )


def derived(world: World, name: str, *inputs: Event) -> Derived:
    like = world.validated(1, 0, "routine", 1)
    refs = tuple(InputRef(topic="", topic_id="", partition=0, offset=0, event_id=one.meta.event_id) for one in inputs)
    return InstanceDerived(
        meta=msgspec.structs.replace(like.meta, event_id=name),
        provenance=Provenance(step="derive", build="0", generation=1, config_digest="", inputs=refs),
        instance=like.instance,
        source_size=1,
    )


def test_a_window_counts_records_and_times_those_it_can() -> None:
    count = Count().plus(2.0).plus(None).plus(4.0).plus(-1.0)
    assert count == Count(4, 3, 6.0, 4.0)
    assert count.latency_mean_s == 2.0
    assert Count().plus(None).latency_mean_s is None
    assert total([count, Count(1, 1, 10.0, 10.0)]) == Count(5, 4, 16.0, 10.0)
    # As the table keeps it.
    assert Count(*msgspec.json.decode(msgspec.json.encode(list(count)))) == count


def test_a_row_of_the_table_is_of_one_partition() -> None:
    key = Key(3, "imaging.instance.received", "stat", "CT")
    assert Key.of(key.text()) == key
    assert key.place == ("imaging.instance.received", "stat", "CT")


def test_a_receipt_goes_from_event_to_event(world: World) -> None:
    receipts = Receipts()
    first, later = received(world, 1), received(world, 5, "MR")
    assert receipts.of(first) == Receipt(AT + timedelta(seconds=1), "CT")
    receipts.of(later)
    validated = derived(world, "validated", first)
    assert receipts.of(validated) == receipts.of(first)
    # Of several inputs, the one that came last; and the next step has it from there.
    both = derived(world, "both", validated, later)
    assert receipts.of(both) == Receipt(AT + timedelta(seconds=5), "MR")
    assert receipts.of(derived(world, "next", both)) == receipts.of(later)


def test_the_oldest_receipts_are_forgotten_and_their_results_counted_without_latency(world: World) -> None:
    receipts = Receipts(kept=2)
    events = [received(world, image) for image in range(3)]
    for event in events:
        receipts.of(event)
    lost = derived(world, "lost", events[0])
    assert receipts.of(lost) is None
    assert modality_of(lost, None) == "unknown"
    assert receipts.of(derived(world, "kept", events[2])) is not None


def test_a_result_that_was_read_first_waits_a_moment_for_its_input(world: World) -> None:
    receipts = Receipts()
    event = received(world, 1)
    result = derived(world, "result", event)

    async def both() -> Receipt | None:
        waiting = asyncio.create_task(receipts.awaited(result, datetime.now(UTC).timestamp() + 60))
        await asyncio.sleep(0)
        receipts.of(event)
        return await waiting

    assert asyncio.run(both()) == receipts.of(event)
    # Whoever is behind does not wait.
    assert asyncio.run(receipts.awaited(derived(world, "other", derived(world, "never", event)), 0.0)) is None


def test_the_watch_reads_what_the_service_says() -> None:
    board, key = Board(), ("imaging.instance.received", "stat", "CT")
    other = ("imaging.instance.derived", "bulk", "MR")
    publish(1000.0, 10, {key: Count(20, 10, 5.0, 2.5), other: Count(1)}, board)
    assert parsed(generate_latest().decode()) == [
        Window(1000.0, 10.0, *key, per_s=2.0, latency_mean_s=0.5, latency_max_s=2.5),
        Window(
            1000.0, 10.0, "imaging.instance.derived", "bulk", "MR", per_s=0.1, latency_mean_s=None, latency_max_s=None
        ),
    ]
    publish(1010.0, 10, {}, board)
    assert parsed(generate_latest().decode()) == []
