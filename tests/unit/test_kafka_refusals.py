"""What the log refuses: one record, or everything that we try."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from streams.kafka_errors import translated
from streams.kafka_producer import KafkaProducer
from streams.log import ClientOver, LogAway, LogClosed, LogRefused, TopicClosed

TOPIC_CLOSED = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
)
CLOSED = (
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,
)
REFUSED = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD, KafkaError.POLICY_VIOLATION)


@pytest.mark.parametrize("code", CLOSED)
def test_a_log_that_lets_us_do_nothing_is_told_from_one_that_refuses_a_record(code: int) -> None:
    found = translated(KafkaError(code), "write to topic")
    assert isinstance(found, LogClosed)
    assert not isinstance(found, TopicClosed)


@pytest.mark.parametrize("code", TOPIC_CLOSED)
def test_one_topic_that_lets_us_do_nothing_is_told_from_a_log_that_does(code: int) -> None:
    assert isinstance(translated(KafkaError(code), "write to topic"), TopicClosed)


def test_a_client_that_gave_itself_up_writes_nothing_any_more() -> None:
    """An idempotent one does, for as long as it lives, where the broker lost what it had acknowledged."""
    gap = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "a gap", True)
    for error in (gap, KafkaError(KafkaError._FATAL)):
        assert isinstance(translated(error, "write to topic"), ClientOver)


@pytest.mark.parametrize("code", REFUSED)
def test_a_record_that_is_refused_is_that_records_alone(code: int) -> None:
    found = translated(KafkaError(code), "write to topic")
    assert isinstance(found, LogRefused)
    assert not isinstance(found, LogClosed)


def test_a_log_that_did_not_let_us_in_and_is_away_since_is_no_reason_to_refuse_a_record() -> None:
    """A broker that starts lets nobody in for a moment. Until a record was delivered, its absence looks like that."""
    producer = KafkaProducer({"bootstrap.servers": "127.0.0.1:1"})
    try:
        assert isinstance(producer._failure(KafkaError(KafkaError._MSG_TIMED_OUT), "topic"), LogAway)
        producer._on_error(KafkaError(KafkaError.SASL_AUTHENTICATION_FAILED))
        assert isinstance(producer._failure(KafkaError(KafkaError._MSG_TIMED_OUT), "topic"), LogClosed)
    finally:
        producer.close(0.0)


def test_each_record_has_an_exception_of_its_own() -> None:
    """Who raises one hangs a traceback on it, whose frames hold what was to be written for as long as it is there."""
    producer = KafkaProducer({"bootstrap.servers": "127.0.0.1:1"})
    try:
        producer._on_error(KafkaError(KafkaError.SASL_AUTHENTICATION_FAILED))
        one, other = (producer._failure(KafkaError(KafkaError._MSG_TIMED_OUT), "topic") for _ in range(2))
        assert one is not other
        assert (type(one), one.args) == (type(other), other.args)
    finally:
        producer.close(0.0)
