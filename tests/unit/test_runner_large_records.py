"""A record that is too large for the log is put aside as what it is: it never stops its group again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from msgspec import structs

from streams.events import Finding
from streams.origin import original
from streams.step import Done, Outcome, RetryLater
from streams.wire import Record, SchemaIds, encode
from tests.hooked_log import everything
from tests.runner_bench import DEAD_LETTERS, RECEIVED, RETRY, Bench, arrivals, done
from tests.unit.test_runner_on_memory_log import MemoryBench

# What the client takes, and nothing more once something is added to it.
LARGEST = 995_000


@pytest.fixture
def bench() -> Iterator[MemoryBench]:
    made = MemoryBench()
    yield made
    made.close()


def the_dead_letter(bench: Bench) -> Record:
    (record,) = everything(bench.log, DEAD_LETTERS)
    return record


def test_an_event_that_is_too_large_makes_its_input_a_dead_letter(bench: MemoryBench) -> None:
    events = arrivals(1, 3)

    def decide(item: object) -> Outcome | None:
        if item.event.meta.subject != events[1].meta.subject:  # type: ignore[attr-defined]
            return None
        made = done(item)
        text = Finding(rule="long", severity="info", text="x" * 1_100_000)
        return Done(
            made.objects, lambda stored: [structs.replace(one, findings=(text,)) for one in made.events(stored)]
        )

    bench.send(events)
    member = bench.member(decide)
    bench.until_done()
    member.stop()
    bench.check([events[0], events[2]])
    dead = the_dead_letter(bench)
    assert "900000 is the most" in (dead.header("reason") or "")
    assert original(dead).value


@pytest.mark.parametrize("where", ["value", "headers"])
def test_a_poison_record_that_is_too_large_to_be_put_aside_leaves_its_place(bench: MemoryBench, where: str) -> None:
    events = arrivals(1, 2)
    poison = encode(events[0], SchemaIds(), source="test")
    if where == "value":
        poison = replace(poison, value=b"\0" * LARGEST)
    else:
        poison = replace(poison, value=b"", headers=(*poison.headers, ("note", b"\0" * LARGEST)))
    (place,) = bench.write([poison])
    bench.send(events[1:])
    member = bench.member()
    bench.until_done()
    member.stop()
    bench.check(events[1:])
    dead = the_dead_letter(bench)
    assert (dead.value, int(dead.header("left_out_bytes") or 0) > LARGEST) == (None, True)
    found = original(dead)
    assert (found.topic, found.partition, found.offset) == (RECEIVED, place.partition, place.offset)


def test_a_record_that_must_wait_and_is_too_large_to_be_parked_is_a_dead_letter(bench: MemoryBench) -> None:
    large = encode(arrivals(1, 1)[0], SchemaIds(), source="test", extra=(("note", b"\0" * (LARGEST - 2_000)),))
    bench.write([large])
    member = bench.member(lambda _: RetryLater("not there yet", "subject"))
    bench.until_done()
    member.stop()
    assert everything(bench.log, RETRY) == []
    assert "too large to be parked: not there yet" in (the_dead_letter(bench).header("reason") or "")
