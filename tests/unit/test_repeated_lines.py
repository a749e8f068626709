"""A part that is away says so in the log, and does not fill the disk: equal lines come once, then once in a while."""

from __future__ import annotations

import io
import logging
from contextlib import ExitStack, closing
from typing import Any

import confluent_kafka
import pytest

from streams.config import Kafka
from streams.kafka_client_log import ClientLog
from streams.kafka_log import KafkaLog
from streams.repeated import EVERY_S, KEPT_MAX, Repeated
from tests.deciding_world import HandClock, new_world
from tests.logged import lines
from tests.ports import free_port
from tests.waiting import wait_until

REFUSED = "Connection refused"
# As librdkafka gives it: facility, client, text.
FORM = "%s [%s] %s"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def told(log: ClientLog, text: str, client: str = "rdkafka#consumer-1", level: int = logging.ERROR) -> None:
    log.log(level, FORM, "FAIL", client, text)


def said(written: io.StringIO, event: str = "kafka_client") -> list[dict[str, Any]]:
    return [line for line in lines(written) if line["event"] == event]


class Heard:
    """What a client without our log says."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def log(self, _: int, form: str, *args: object) -> None:
        self.texts.append(form % args)


def test_what_the_clients_of_a_service_say_while_no_broker_answers_is_a_line(written: io.StringIO) -> None:
    nobody, heard = f"127.0.0.1:{free_port()}", Heard()
    log = KafkaLog(Kafka(bootstrap=nobody))
    with ExitStack() as open_clients:
        for producer in (log.producer(), log.producer(), log.producer()):
            open_clients.callback(producer.close, 0.0)
        same = open_clients.enter_context(
            closing(confluent_kafka.Producer({"bootstrap.servers": nobody}, logger=heard))
        )
        wait_until(lambda: same.poll(0) or len(heard.texts) >= 10, "ten lines of one client")
    # On a machine that stood still for half a minute it came again, and says what was left out.
    (line,) = [line for line in said(written) if "suppressed" not in line]
    assert nobody in line["text"]
    assert REFUSED in line["text"]
    assert line["level"] == "error"


def test_a_line_that_comes_again_says_how_many_were_left_out(written: io.StringIO, clock: HandClock) -> None:
    log = ClientLog(Repeated(clock))
    failed = "a:9/1: Connect to ipv4#10.0.0.1:9 failed"
    same = [
        ("rdkafka#consumer-1", f"[thrd:a:9/bootstrap]: {failed} (after 0ms in state CONNECT)"),
        ("rdkafka#consumer-15", f"[thrd:a:9/1]: {failed} (after 12ms in state CONNECT)"),
        ("rdkafka#consumer-2", f"[thrd:main]: {failed} (after 3ms in state CONNECT, 12 identical error(s) suppressed)"),
    ]
    for client, text in same * 4:
        told(log, text, client)
    clock.seconds += EVERY_S
    for client, text in same * 4:
        told(log, text, client)
    first, again = said(written)
    assert "rdkafka#consumer-1]" in first["text"]
    assert "suppressed" not in first
    assert (again["suppressed"], again["since_s"]) == (11, EVERY_S)


def test_nothing_of_another_text_or_level_is_left_out(written: io.StringIO, clock: HandClock) -> None:
    log = ClientLog(Repeated(clock))
    texts = [f"[thrd:main]: a:9/{broker}: Connect to ipv4#10.0.0.{broker}:9 failed" for broker in range(40)]
    texts += [f"[thrd:main]: imaging.instance.received [{partition}]: no leader" for partition in range(40)]
    for text in texts:
        told(log, text)
    told(log, texts[0], level=logging.WARNING)
    told(log, texts[0], client="rdkafka#producer-1")
    assert [line["text"].partition("] ")[2] for line in said(written)] == [*texts, texts[0], texts[0]]


def test_lines_that_are_all_different_take_no_more_memory_than_some(clock: HandClock) -> None:
    repeated = Repeated(clock)
    assert all(repeated.due(number) == {} for number in range(10 * KEPT_MAX))
    assert repeated.due(10 * KEPT_MAX - 1) is None
    assert repeated.due(0) == {}, "forgotten, and so said anew"
    assert len(repeated._said) == KEPT_MAX


def test_a_decision_step_that_waits_for_the_log_says_so_once_in_a_while(written: io.StringIO) -> None:
    world = new_world()
    member = world.member()
    member.turn()
    world.log.away = True
    member.turn(100)
    first = said(written, "waiting")
    world.clock.seconds += EVERY_S
    member.turn(100)
    again = said(written, "waiting")[len(first) :]
    assert [line["part"] for line in first] == ["log"] * len({line["reason"] for line in first})
    assert [line["suppressed"] for line in again] == [99] * len(first)
