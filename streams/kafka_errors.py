"""librdkafka's errors, as the few that the runtime tells apart."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from streams.log import ClientOver, Fenced, LogAway, LogClosed, LogRefused, OffsetOutOfRange, TopicClosed

_OUT_OF_RANGE = {KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION}
_FENCED = {
    KafkaError.FENCED_MEMBER_EPOCH,
    KafkaError.STALE_MEMBER_EPOCH,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError._ASSIGNMENT_LOST,
    KafkaError._FENCED,
}
# Whatever is written or read: the fault is in what we may do, or in what is there.
_CLOSED = {
    KafkaError._AUTHENTICATION,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.SECURITY_DISABLED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
}
# The same of one topic: we may write the next one.
_TOPIC_CLOSED = {
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_ID,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}
_REFUSED = {
    KafkaError._BAD_COMPRESSION,
    KafkaError._BAD_MSG,
    KafkaError._GAPLESS_GUARANTEE,
    KafkaError._INVALID_ARG,
    KafkaError._NOT_IMPLEMENTED,
    KafkaError._UNSUPPORTED_FEATURE,
    KafkaError.INCONSISTENT_GROUP_PROTOCOL,
    KafkaError.INVALID_CONFIG,
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_REQUEST,
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.POLICY_VIOLATION,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.UNSUPPORTED_ASSIGNOR,
    KafkaError.UNSUPPORTED_VERSION,
}

_STALE = {
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.NOT_LEADER_FOR_PARTITION,
}


class StaleLeader(LogAway):
    """The client's picture of the cluster is from before a leader changed or restarted."""


LogError = LogAway | LogRefused | OffsetOutOfRange | Fenced


def translated(error: KafkaError, what: str) -> LogError:
    """The error as an exception to raise. `what` says what was tried, on which topic or group.

    What is neither a range, a fence nor a refusal is taken for absence: librdkafka goes on trying, and so do we.
    """
    text = f"{what}: {error.name()}: {error.str()}"
    if error.code() in _OUT_OF_RANGE:
        return OffsetOutOfRange(text)
    if error.code() in _FENCED:
        return Fenced(text)
    if error.code() in _CLOSED:
        return LogClosed(text)
    if error.code() in _TOPIC_CLOSED:
        return TopicClosed(text)
    if error.fatal() or error.code() == KafkaError._FATAL:
        return ClientOver(text)
    if error.code() in _REFUSED:
        return LogRefused(text)
    return StaleLeader(text) if error.code() in _STALE else LogAway(text)


def of_exception(error: KafkaException, what: str) -> LogError:
    return translated(error.args[0], what)
