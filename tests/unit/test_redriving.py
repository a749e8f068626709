"""A dead letter goes back to the group that gave it up, once, and its record has one effect."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest

from consumers.catalog.attributes import Reader
from consumers.catalog.rows import rows_of
from consumers.catalog.tables import Rows
from consumers.forward.ris import Answer, Ris
from consumers.forward.telling import Telling
from radstream.deadletter_filters import letters_of
from schemas import load_topics
from streams.deadletters import dead_letter, dead_letter_topic, dead_letters
from streams.events import InstanceReceived, MppsEvent
from streams.generation import of_facts
from streams.letters import letter_at, letters, mark
from streams.log import Log, TopicPartition
from streams.memory_log import MemoryLog
from streams.redriving import NotPutBack, as_read, put_back, redrive_one
from streams.redriving_group import Busy, alone
from streams.sizes import RECORD_BYTES_MAX
from streams.step import Done, Input
from streams.wire import Message, Record, SchemaIds, decode, encode
from tests.event_streams import Hospital
from tests.hooked_log import everything
from tests.import_events import decided
from tests.order_events import performed
from tests.runner_bench import CLOCK, DEAD_LETTERS, GROUP, RECEIVED, RETRY, Bench, arrivals
from tests.unit.test_runner_on_memory_log import MemoryBench


@pytest.fixture
def bench() -> Iterator[MemoryBench]:
    made = MemoryBench()
    yield made
    made.close()


@pytest.fixture
def log() -> MemoryLog:
    made, topics = MemoryLog(), load_topics()
    for name in topics.topics:
        for physical in topics.physical(name):
            made.create_topic(physical, 2)
    return made


def redrive(log: Log, group: str) -> None:
    """All that is open, as the command does it."""
    producer = log.producer()
    with alone(log, group):
        for letter in letters(log, group):
            if letter.state == "open":
                redrive_one(log, producer, letter, "tester", CLOCK.now())
    producer.close(5.0)


def died(bench: Bench, broken: threading.Event) -> list[InstanceReceived]:
    """Three images of a study, the last of which the step cannot do while it is `broken`."""
    events = arrivals(1, 3)

    def decide(item: object) -> None:
        if broken.is_set() and item.event.meta.subject == events[-1].meta.subject:  # type: ignore[attr-defined]
            raise ValueError("a fault of the code")

    broken.set()
    bench.send(events)
    bench.member(decide)
    bench.until_done()
    return events


def test_a_record_is_processed_again_by_its_group_alone_and_has_one_effect(bench: MemoryBench) -> None:
    broken = threading.Event()
    events = died(bench, broken)
    (letter,) = letters(bench.log, GROUP)
    assert (letter.state, letter.times, letter.subject) == ("open", 1, events[-1].meta.subject)

    broken.clear()
    redrive(bench.log, GROUP)
    bench.until_done()

    bench.check(events)
    assert bench.verdicts()[-1].provenance.inputs[0].topic == RECEIVED, "the lineage names the record as it first came"
    assert len(everything(bench.log, RECEIVED)) == len(events), "no other group reads it once more"
    (letter,) = letters(bench.log, GROUP)
    assert (letter.state, letter.redrives) == ("redriven", 1)

    redrive(bench.log, GROUP)
    assert len(everything(bench.log, RETRY)) == 1, "it was put back once"


def test_a_letter_that_comes_back_is_one_letter_and_is_not_redriven_by_itself(bench: MemoryBench) -> None:
    died(bench, threading.Event())
    redrive(bench.log, GROUP)
    bench.until_done()

    (letter,) = letters(bench.log, GROUP)
    assert (letter.state, letter.times, letter.redrives) == ("came back", 2, 1)
    redrive(bench.log, GROUP)
    assert len(everything(bench.log, RETRY)) == 1


def test_marks_are_no_dead_letters_to_those_who_count_them(bench: MemoryBench) -> None:
    died(bench, threading.Event())
    redrive(bench.log, GROUP)
    bench.until_done()
    assert len(everything(bench.log, DEAD_LETTERS)) == 3
    assert len(list(dead_letters(bench.log, GROUP))) == 2


def test_what_this_build_cannot_read_either_is_not_put_back(log: MemoryLog) -> None:
    good = encode(arrivals(1, 1)[0], SchemaIds(), source="test")
    newer = tuple((name, b"99" if name == "schema_version" else value) for name, value in good.headers)
    for bad in (replace(good, value=b"garbage"), replace(good, headers=newer), replace(good, headers=())):
        letter = given_up(log, bad, GROUP)
        with pytest.raises(NotPutBack, match="cannot read it either"):
            put_back(log, letter, GROUP, CLOCK.now())


def test_a_letter_of_a_group_without_a_retry_topic_goes_to_its_own_topic_with_the_same_id(log: MemoryLog) -> None:
    event = arrivals(1, 1)[0]
    message = encode(event, SchemaIds(), source="test")
    given_up(log, message, "catalog")
    redrive(log, "catalog")
    records = held(log, RECEIVED)
    assert [record.header("ce_id") for record in records] == [event.meta.event_id] * 2
    assert {(record.key, record.value) for record in records} == {(message.key, message.value)}
    assert all(record.headers[: len(message.headers)] == message.headers for record in records)


def test_a_decision_that_is_put_back_after_a_later_one_does_not_become_the_last_word(log: MemoryLog) -> None:
    hospital = Hospital(1)
    wrong = decided(hospital, "2.25.7")
    given_up(log, encode(wrong, SchemaIds(), source="test"), "catalog")
    mended = decided(hospital, "2.25.7", "unreconciled")
    log.append(encode(mended, SchemaIds(), source="test"))
    redrive(log, "catalog")
    *_, last = held(log, "imaging.import.decision")
    log.append(dead_letter(last, "catalog", "a reason", CLOCK.now()))
    redrive(log, "catalog")
    (letter,) = letters(log, "catalog")
    assert (letter.state, letter.times, letter.redrives) == ("came back", 2, 1)
    assert len(held(log, "imaging.import.decision")) == 3, "what came back is not put back by itself"
    producer = log.producer()
    redrive_one(log, producer, letter, "tester", CLOCK.now())
    producer.close(5.0)
    assert len(held(log, "imaging.import.decision")) == 4

    rows, reader = Rows(), Reader(hospital.blocks)
    for record in reversed(held(log, "imaging.import.decision")):
        rows_of(Input(decode(record), record), reader, rows)
    told = {row["event_id"]: row["record_offset"] for row in rows.by_table["import_decisions"].values()}
    assert told[wrong.meta.event_id] < told[mended.meta.event_id]


def test_members_of_an_entry_have_their_own_letters_back(log: MemoryLog) -> None:
    validated = load_topics().groups["forward"].reads[0]
    message = replace(encode(arrivals(1, 1)[0], SchemaIds(), source="test"), topic=validated)
    given_up(log, message, "forward.pacs")
    assert [one.group for one in letters_of(log, "forward.pacs")] == ["forward.pacs"]
    assert [one.group for one in letters_of(log, "forward")] == ["forward.pacs"]
    assert letters_of(log, "forward.other") == []
    redrive(log, "forward")
    (parked,) = held(log, "imaging.retry.forward")
    assert parked.header("origin_group") == "forward.pacs"


def test_what_the_ris_was_not_told_goes_back_to_where_its_group_reads_it(log: MemoryLog) -> None:
    message = encode(performed(Hospital(1), "2.25.31", "created", "in_progress"), SchemaIds(), source="test")
    given_up(log, message, "forward.mpps")
    redrive(log, "forward.mpps")
    assert held(log, "imaging.retry.forward") == [], "forward.mpps reads no retry topic"
    first, second = held(log, message.topic)
    assert first.header("ce_id") == second.header("ce_id")
    assert [one.state for one in letters_of(log, "forward.mpps")] == ["redriven"]

    other = given_up(log, message, "forward.pacs")
    with pytest.raises(NotPutBack, match="does not read the topic"):
        put_back(log, other, "forward.pacs", CLOCK.now())


def test_what_the_catalog_has_once_more_is_not_told_to_the_ris_once_more(log: MemoryLog) -> None:
    """It would come after what was said of the step since, and undo that."""
    hospital, ris = Hospital(1), Taking()
    given_up(log, encode(performed(hospital, "2.25.31", "set", "in_progress"), SchemaIds(), source="test"), "catalog")
    redrive(log, "catalog")
    telling = Telling(cast(Ris, ris), of_facts("forward.mpps"), hospital.blocks)
    first, second = (Input(decode(record), record) for record in held(log, "imaging.mpps.event"))
    for item in (first, second):
        (outcome,) = telling([cast(Input[MppsEvent], item)], CLOCK)
        assert isinstance(outcome, Done)
    assert ris.told == ["2.25.31"]
    assert outcome == Done(), "nothing is audited that was not said"


class Taking:
    """A RIS that takes everything."""

    name = "ris"

    def __init__(self) -> None:
        self.told: list[str] = []

    def tell(self, _action: str, mpps_uid: str, _said: object) -> Answer:
        self.told.append(mpps_uid)
        return Answer(0)


def test_a_letter_says_when_it_cannot_be_put_back(log: MemoryLog) -> None:
    good = encode(arrivals(1, 1)[0], SchemaIds(), source="test")
    other = given_up(log, replace(good, topic="imaging.inference.result"), GROUP)
    with pytest.raises(NotPutBack, match="does not read the topic"):
        put_back(log, other, GROUP, CLOCK.now())
    with pytest.raises(NotPutBack, match="no headers that say"):
        put_back(log, replace(other, headers=()), GROUP, CLOCK.now())


def test_what_was_too_large_for_a_letter_is_read_from_its_place(log: MemoryLog) -> None:
    good = encode(arrivals(1, 1)[0], SchemaIds(), source="test")
    large = replace(good, headers=(*good.headers, ("note", b"x" * (RECORD_BYTES_MAX - 1200))))
    letter = given_up(log, large, GROUP)
    assert letter.value is None
    assert decode(as_read(log, letter)).meta.event_id == dict(good.headers)["ce_id"].decode()
    with pytest.raises(NotPutBack, match="too large for the retry topic"):
        put_back(log, letter, GROUP, CLOCK.now())

    log.delete_topic(RECEIVED)
    log.create_topic(RECEIVED, 2)
    with pytest.raises(NotPutBack, match="no longer has it"):
        as_read(log, letter)


def test_one_redrive_of_a_group_at_a_time(log: MemoryLog) -> None:
    with alone(log, GROUP), pytest.raises(Busy), alone(log, GROUP):
        pass
    with alone(log, GROUP), alone(log, "derive"):
        pass


def given_up(log: MemoryLog, message: Message, group: str) -> Record:
    """Writes a record and its dead letter, as the group would; the letter."""
    place = log.append(message)
    (record,) = log.read(TopicPartition(place.topic, place.partition), place.offset, place.offset + 1)
    put = log.append(dead_letter(record, group, "a reason", CLOCK.now()))
    (letter,) = log.read(TopicPartition(put.topic, put.partition), put.offset, put.offset + 1)
    assert letter_at(log, group, letters(log, group)[-1].place) is not None
    assert letter.topic == dead_letter_topic(group)
    return letter


def held(log: MemoryLog, topic: str) -> list[Record]:
    names = [TopicPartition(topic, number) for number in range(log.partitions(topic))]
    return [record for name, (first, end) in log.bounds(names).items() for record in log.read(name, first, end)]


def test_what_dies_again_before_its_mark_is_written_came_back(log: MemoryLog) -> None:
    good = encode(arrivals(1, 1)[0], SchemaIds(), source="test")
    letter = given_up(log, good, GROUP)
    until = log.bounds([TopicPartition(letter.topic, letter.partition)])
    log.append(Message(letter.topic, letter.key, letter.value, letter.headers))
    for _, end in until.values():
        log.append(mark(letter, end, RETRY, "tester", CLOCK.now()))
    assert [one.state for one in letters(log, GROUP)] == ["came back"]
