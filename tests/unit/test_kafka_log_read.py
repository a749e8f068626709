"""Reading a part of a partition: all of it, or an error. It never ends early as if it were done."""

from __future__ import annotations

from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError

from streams.config import Kafka
from streams.kafka_log import KafkaLog
from streams.kafka_reading import _SILENT_S_MAX
from streams.log import LogAway, LogRefused
from streams.stop import Stop
from tests.unit.test_kafka_consumer_failures import NAME, Message


class Client:
    """librdkafka's consumer with a partition of its own, which ends as librdkafka says that it ends."""

    def __init__(self, messages: list[Message]) -> None:
        self._messages = messages

    def assign(self, _: object) -> None: ...

    def poll(self, _: float) -> Message:
        return self._messages.pop(0)

    def consume(self, *_: object) -> list[Message]:
        taken, self._messages = self._messages, []
        return taken

    def close(self) -> None: ...


def read(monkeypatch: pytest.MonkeyPatch, messages: list[Message], start: int, end: int) -> list[int]:
    seen: list[dict[str, Any]] = []

    def make(settings: dict[str, Any]) -> Client:
        seen.append(settings)
        return Client(messages)

    monkeypatch.setattr(confluent_kafka, "Consumer", make)
    monkeypatch.setattr(KafkaLog, "topic_id", lambda *_: "id")
    found = [record.offset for record in KafkaLog(Kafka(bootstrap="127.0.0.1:1")).read(NAME, start, end)]
    assert seen[0]["check.crcs"]
    return found


def test_what_was_asked_for_is_read_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, [Message(at) for at in range(2, 9)], 2, 6) == [2, 3, 4, 5]


def test_a_partition_that_ends_where_was_asked_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = Message(6, KafkaError(KafkaError._PARTITION_EOF))
    assert read(monkeypatch, [*(Message(at) for at in range(2, 6)), ended], 2, 6) == [2, 3, 4, 5]


def test_a_partition_that_ends_before_what_was_asked_for_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = Message(3, KafkaError(KafkaError._PARTITION_EOF))
    with pytest.raises(LogAway, match="ends at 3"):
        read(monkeypatch, [Message(2), ended], 2, 6)


def test_a_gap_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Stop, match="offset 4 came where 3 is the next"):
        read(monkeypatch, [Message(2), Message(4)], 2, 6)


def test_damaged_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LogRefused):
        read(monkeypatch, [Message(2), Message(3, KafkaError(KafkaError._BAD_MSG))], 2, 6)


class Counted(Client):
    """Made anew for each reading, or kept: a kept one is given what it is assigned to."""

    made = 0
    closed = 0

    def __init__(self, _: object) -> None:
        super().__init__([])
        type(self).made += 1

    def assign(self, _: object) -> None:
        self._messages = [Message(at) for at in range(2, 9)]

    def unassign(self) -> None:
        self._messages = []

    def close(self) -> None:
        type(self).closed += 1


@pytest.mark.parametrize(("kept", "made", "closed"), [(0, 3, 3), (2, 1, 0)])
def test_who_looks_up_many_records_does_it_with_one_client(
    monkeypatch: pytest.MonkeyPatch, kept: int, made: int, closed: int
) -> None:
    client: type[Counted] = type("OfThisTest", (Counted,), {})
    monkeypatch.setattr(confluent_kafka, "Consumer", client)
    monkeypatch.setattr(KafkaLog, "topic_id", lambda *_: "id")
    log = KafkaLog(Kafka(bootstrap="127.0.0.1:1"), kept)
    for _ in range(3):
        assert [record.offset for record in log.read(NAME, 2, 3)] == [2]
    assert (client.made, client.closed) == (made, closed)


def test_a_client_that_failed_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    client: type[Counted] = type("OfThisTest", (Counted,), {})
    monkeypatch.setattr(confluent_kafka, "Consumer", client)
    monkeypatch.setattr(KafkaLog, "topic_id", lambda *_: "id")
    log = KafkaLog(Kafka(bootstrap="127.0.0.1:1"), 2)
    with pytest.raises(Stop):
        list(log.read(NAME, 0, 3))
    assert list(log.read(NAME, 2, 3))
    assert (client.made, client.closed) == (2, 1)


class Silent(Counted):
    """Each client brings two records, or nothing where it is one of `mute`, and is silent then."""

    mute: tuple[int, ...] = ()

    def __init__(self, _: object) -> None:
        super().__init__(_)
        self._number = self.made

    def assign(self, at: Any) -> None:
        (start,) = at
        self._messages = [] if self._number in self.mute else [Message(start.offset), Message(start.offset + 1)]

    def poll(self, _: float) -> Any:
        return self._messages.pop(0) if self._messages else None


def silent(monkeypatch: pytest.MonkeyPatch, *mute: int, ids: Any = lambda *_: "id") -> tuple[type[Silent], KafkaLog]:
    client: type[Silent] = type("OfThisTest", (Silent,), {"mute": mute})
    monkeypatch.setattr(confluent_kafka, "Consumer", client)
    monkeypatch.setattr(KafkaLog, "topic_id", ids)
    return client, KafkaLog(Kafka(bootstrap="127.0.0.1:1"), 2)


def test_a_read_that_falls_silent_goes_on_from_where_it_was_with_another_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, log = silent(monkeypatch, 1)
    assert [record.offset for record in log.read(NAME, 2, 8)] == [2, 3, 4, 5, 6, 7]
    # None that was silent is used again.
    assert (client.made, client.closed) == (4, 3)


def test_a_read_of_which_nothing_comes_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    client, log = silent(monkeypatch, *range(1, 10))
    with pytest.raises(LogAway, match="at 2: no answer"):
        list(log.read(NAME, 2, 8))
    assert client.made == client.closed == len(_SILENT_S_MAX)


def test_a_read_is_over_at_once_where_the_broker_answers_nothing_else_either(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["id"])

    def asked(*_: object) -> str:
        for answer in answers:
            return answer
        raise LogAway("topic: no answer")

    client, log = silent(monkeypatch, 1, ids=asked)
    with pytest.raises(LogAway, match="topic: no answer"):
        list(log.read(NAME, 2, 8))
    assert client.made == 1


def test_a_topic_that_was_created_again_meanwhile_is_not_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["id", "another"])
    _, log = silent(monkeypatch, ids=lambda *_: next(answers))
    with pytest.raises(LogAway, match="created again"):
        list(log.read(NAME, 2, 8))
