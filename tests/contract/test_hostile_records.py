"""Whatever bytes are in the log, decoding gives an event or says that it cannot: nothing else, and at once."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import load_subjects
from streams.events import EVENTS, Event
from streams.wire import Headers, Message, Record, SchemaIds, Undecodable, UnknownSchema, decode, encode

SUBJECTS = sorted(EVENTS)


def record(value: bytes | None, headers: Headers) -> Record:
    return Record("any", "a-topic-id", 0, 0, 0, None, value, headers)


def named(subject: str, version: str | None = None) -> Headers:
    """Of the version that is written today, unless another is named."""
    version = str(load_subjects()[subject].latest.version) if version is None else version
    return (("schema_subject", subject.encode()), ("schema_version", version.encode()))


def whole(subject: str) -> Message:
    return encode(msgspec.convert(load_subjects()[subject].examples[0], EVENTS[subject]), SchemaIds(), source="test")


def decoded(value: bytes | None, headers: Headers) -> Event | None:
    try:
        return decode(record(value, headers))
    except Undecodable:
        return None


@given(st.sampled_from(SUBJECTS), st.binary(max_size=300))
def test_random_bytes(subject: str, body: bytes) -> None:
    decoded(b"\0\0\0\0\0" + body, named(subject))


@given(st.sampled_from(SUBJECTS), st.data())
def test_a_changed_byte(subject: str, data: st.DataObject) -> None:
    value = bytearray(whole(subject).value or b"")
    position = data.draw(st.integers(0, len(value) - 1))
    value[position] = data.draw(st.integers(0, 255))
    decoded(bytes(value), named(subject))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_record_cut_anywhere_is_not_an_event(subject: str) -> None:
    value = whole(subject).value or b""
    for length in range(len(value)):
        assert decoded(value[:length], named(subject)) is None


@pytest.mark.parametrize("subject", SUBJECTS)
def test_bytes_left_over_are_not_an_event(subject: str) -> None:
    assert decoded((whole(subject).value or b"") + b"\0", named(subject)) is None


@pytest.mark.parametrize(
    "count", [b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"]
)
def test_a_length_that_nobody_has_memory_for_is_refused(count: bytes) -> None:
    """The first field of every event is a string: its length is made the largest and the smallest there is."""
    assert decoded(b"\0\0\0\0\0" + count, named("imaging.instance.received")) is None


@pytest.mark.parametrize("value", [None, b"", b"\0", b"\0\0\0\0", b"\1\0\0\0\1rest"])
def test_what_is_not_in_the_wire_format_is_not_an_event(value: bytes | None) -> None:
    assert decoded(value, named("imaging.audit.event")) is None


@pytest.mark.parametrize(
    "headers",
    [(), named("imaging.audit.event", ""), named("imaging.audit.event", "-1"), named("imaging.audit.event", "x")],
)
def test_a_record_that_does_not_say_what_it_is_is_not_an_event(headers: Headers) -> None:
    assert decoded(whole("imaging.audit.event").value, headers) is None


@pytest.mark.parametrize(
    ("subject", "version"), [("imaging.unheard.of", "1"), ("imaging.audit.event", "0"), ("imaging.audit.event", "99")]
)
def test_a_subject_or_version_of_a_newer_build_stops_the_reader(subject: str, version: str) -> None:
    with pytest.raises(UnknownSchema):
        decode(record(whole("imaging.audit.event").value, named(subject, version)))


@pytest.mark.parametrize("version", ["\u0663", "1" * 5000])
def test_a_version_is_a_short_number_in_ascii(version: str) -> None:
    assert decoded(whole("imaging.audit.event").value, named("imaging.audit.event", version)) is None


def test_what_is_said_of_a_bad_record_never_quotes_it() -> None:
    value = (whole("imaging.audit.event").value or b"").replace(b"success", b"Doe^Jan").replace(b"store", b"\xffDoe^")
    with pytest.raises(Undecodable) as refused:
        decode(record(value[:200] + b"Doe^Jane" * 50, named("imaging.audit.event")))
    assert "Doe" not in str(refused.value)
