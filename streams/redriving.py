"""Dead letters are put back to be processed once more: by the group that could not, and where that can be, by it alone.

A group with a retry topic finds the record there, as if it had been parked: nobody else reads that. For the others,
that of the RIS among them, it is written once more into the topic that it came from, with its own key, bytes and
headers: all who read that topic see a second record with the same `ce_id`, which identity makes harmless
(docs/decisions/0041). Two more headers say where it first was, and for whom it is.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from schemas import load_topics
from streams.letters import Letter, letter_at, mark
from streams.log import Log, Producer, TopicPartition
from streams.origin import original, put_back_headers
from streams.parking import parked, retry_topic
from streams.sizes import RECORD_BYTES_MAX, size_of
from streams.wire import Message, Record, Undecodable, UnknownSchema, decode

ACKNOWLEDGED_S_MAX: Final = 30.0


class NotPutBack(Exception):
    """Why a letter cannot be put back, without patient data. The redrive stops: what made it is not mended."""


def as_read(log: Log, letter: Record) -> Record:
    """The record of a letter, as its group read it. Raises NotPutBack, LogAway, LogRefused."""
    try:
        record = original(letter)
    except Undecodable as error:
        raise NotPutBack(str(error)) from None
    if letter.header("left_out_bytes") is None:
        return record
    name = TopicPartition(record.topic, record.partition)
    first, end = log.bounds([name])[name]
    if log.topic_id(record.topic) != record.topic_id or not first <= record.offset < end:
        raise NotPutBack("it was too large for a dead letter, and its topic no longer has it")
    (there,) = log.read(name, record.offset, record.offset + 1)
    return there


def put_back(log: Log, letter: Record, group: str, at: datetime) -> Message:
    """The record to write, so that `group` reads it again. Raises NotPutBack, LogAway, LogRefused.

    What this build cannot decode would be a dead letter again at once, or stop the consumer.
    """
    record, topics = as_read(log, letter), load_topics()
    if topics.entry_of(group) not in topics.groups:
        raise NotPutBack("its header origin_group names no group of ours")
    read, retry = topics.read_by(group), retry_topic(group)
    if record.topic not in read or record.topic == retry:
        raise NotPutBack(f"group {group} does not read the topic that it says it came from")
    try:
        decode(record)
    except (Undecodable, UnknownSchema) as error:
        raise NotPutBack(f"this version of radstream cannot read it either: {error}") from None
    if retry not in read:
        return Message(record.topic, record.key, record.value, put_back_headers(record, group))
    message = parked(record, group, f"redriven; it was: {letter.header('reason') or ''}", at, attempt=0, wait_s=0.0)
    if size_of(message) > RECORD_BYTES_MAX:
        raise NotPutBack("it is too large for the retry topic")
    return message


def read_letter(log: Log, letter: Letter) -> Record:
    """The dead letter with its bytes. Raises NotPutBack, LogAway, LogRefused."""
    record = letter_at(log, letter.group, letter.place)
    if record is None:
        raise NotPutBack("it is no longer in its topic")
    return record


def redrive_one(log: Log, producer: Producer, letter: Letter, actor: str, at: datetime) -> None:
    """Puts one record back, then says so beside its letter; both are acknowledged when it returns.

    A crash between the two makes a record too many at the next redrive, which has no second effect.
    `actor` is who asked for it. Raises NotPutBack, LogAway, LogRefused, TimeoutError.
    """
    record = read_letter(log, letter)
    message = put_back(log, record, letter.group, at)
    name = TopicPartition(record.topic, record.partition)
    until = log.bounds([name])[name][1]
    producer.send(message).result(ACKNOWLEDGED_S_MAX)
    producer.send(mark(record, until, message.topic, actor, at)).result(ACKNOWLEDGED_S_MAX)
