"""While a part is away, one tries and the others do not wait for it."""

from __future__ import annotations

import pytest

from producers.dicom_router.spool.breaker import AWAY, Breaker
from streams.backoff import Backoff
from streams.log import LogAway, LogClosed, TopicClosed
from streams.objects import Damaged, StoreAway, StoreRefused
from streams.s3_clients import PUT_BYTES_PER_S_MIN
from tests.deciding_world import HandClock

AGAIN = Backoff(first_s=1.0, max_s=8.0)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def breaker(clock: HandClock) -> Breaker:
    return Breaker(clock, patience_s=5.0, again=AGAIN)


def tried(breaker: Breaker, error: Exception | None = None, subject: bytes = b"") -> bool:
    """Whether there was leave to try; what was tried ends with `error`."""
    turn = breaker.turn(0, subject)
    if turn is None:
        return False
    try:
        with turn:
            if error is not None:
                raise error
    except type(error):
        pass
    return True


def test_while_all_is_well_everybody_tries(breaker: Breaker) -> None:
    turns = [breaker.turn(0) for _ in range(10)]
    assert None not in turns


def test_a_large_object_is_no_probe_where_a_small_one_may_come(breaker: Breaker, clock: HandClock) -> None:
    """Everybody waits for the probe, and for gigabytes that is minutes."""
    assert tried(breaker, StoreAway("away"))
    assert not breaker.may_try(1 << 30)
    assert breaker.turn(1 << 30) is None
    assert breaker.may_try(1 << 20)
    clock.seconds += 6.0
    assert breaker.turn(1 << 30) is not None


@pytest.mark.parametrize("kind", AWAY)
def test_after_a_failure_one_tries_at_a_time_and_less_and_less_often(
    breaker: Breaker, clock: HandClock, kind: type[Exception]
) -> None:
    assert tried(breaker, kind("away"))
    # The first failure may have been that of one connection: one tries again at once.
    assert tried(breaker, kind("away"))
    assert not tried(breaker)
    clock.seconds += 1.0
    probe = breaker.turn(0)
    assert probe is not None
    assert not tried(breaker)
    with pytest.raises(kind), probe:
        raise kind("away")
    clock.seconds += 0.9
    assert not tried(breaker)
    clock.seconds += 1.2
    assert tried(breaker)
    assert tried(breaker)


def test_one_that_works_ends_it(breaker: Breaker) -> None:
    assert tried(breaker, StoreAway("away"))
    assert tried(breaker)
    assert [breaker.turn(0) is None for _ in range(3)] == [False, False, False]


def test_who_may_not_probe_does_not(breaker: Breaker) -> None:
    assert tried(breaker, StoreAway("away"))
    assert breaker.turn(0, probing=False) is None
    assert breaker.may_try()


@pytest.mark.parametrize("kind", [Damaged, StoreRefused])
def test_an_answer_that_is_a_refusal_is_no_absence(breaker: Breaker, kind: type[Exception]) -> None:
    assert tried(breaker, kind("this one"))
    assert [breaker.turn(0) is None for _ in range(3)] == [False, False, False]


def test_a_probe_that_is_refused_lets_the_next_one_try(breaker: Breaker) -> None:
    assert tried(breaker, StoreAway("away"))
    assert tried(breaker, Damaged("other bytes"))
    assert tried(breaker)


def test_nobody_waits_behind_a_commit_that_hangs(breaker: Breaker, clock: HandClock) -> None:
    hanging = breaker.turn(0)
    assert hanging is not None
    assert tried(breaker)
    clock.seconds += 5.1
    assert not tried(breaker)
    with hanging:
        pass
    assert tried(breaker)


def test_a_large_object_may_take_its_time(breaker: Breaker, clock: HandClock) -> None:
    """As long as the store may take to keep it: without a spool, all others would be told to try again."""
    size = 1 << 30
    assert breaker.turn(size) is not None
    clock.seconds += size / PUT_BYTES_PER_S_MIN
    assert tried(breaker)


def test_nobody_tries_before_it_is_known_that_the_store_may_be_used(breaker: Breaker) -> None:
    breaker.hold()
    assert not breaker.may_try()
    assert not tried(breaker)
    breaker.release()
    assert tried(breaker)


def test_a_topic_that_is_closed_is_neither_an_absence_nor_the_end_of_one(breaker: Breaker) -> None:
    closed = TopicClosed("write to topic: TOPIC_AUTHORIZATION_FAILED")
    assert tried(breaker, closed)
    assert breaker.closed
    assert tried(breaker, StoreAway("away"))
    assert tried(breaker, closed)
    assert (breaker.closed, breaker.may_try()) == (False, True)


def test_who_is_given_no_leave_is_told_what_the_log_does_not_let_us_while_that_is_why(
    breaker: Breaker, clock: HandClock
) -> None:
    assert tried(breaker, LogClosed("SASL_AUTHENTICATION_FAILED"))
    assert isinstance(breaker.away(), LogClosed)
    assert "SASL" in str(breaker.away())
    assert tried(breaker, StoreAway("away"))
    assert isinstance(breaker.away(), LogAway)


def alone(breaker: Breaker, subject: bytes = b"poison") -> None:
    """Another one is committed between two failures of it."""
    assert tried(breaker, StoreAway("away"), subject)
    assert tried(breaker, None, b"other")
    assert tried(breaker, StoreAway("away"), subject)


@pytest.mark.parametrize("kind", [StoreAway, LogAway, TimeoutError])
def test_what_fails_while_others_are_committed_is_no_absence(breaker: Breaker, kind: type[Exception]) -> None:
    alone(breaker)
    assert breaker.failed_alone(b"poison") == 1
    for times in range(2, 5):
        assert tried(breaker, None, b"other")
        for _ in range(2):
            assert tried(breaker, kind("away"), b"poison")
            assert breaker.closed
            assert breaker.failed_alone(b"poison") == times, "once for each time that others were committed"
    assert breaker.failed_alone(b"other") == 0


def test_what_was_audited_says_nothing_of_the_store(breaker: Breaker) -> None:
    for _ in range(3):
        assert tried(breaker, StoreAway("away"), b"image")
        assert tried(breaker)
    assert breaker.failed_alone(b"image") == 0


def test_others_find_out_that_parts_are_away_while_one_fails_alone(breaker: Breaker) -> None:
    alone(breaker)
    assert tried(breaker, StoreAway("away"), b"other")
    assert not breaker.closed
    assert tried(breaker, StoreAway("away"), b"poison")
    assert not breaker.closed
    assert breaker.may_try(), "it was the probe, and says nothing: another may be one at once"


def test_nobody_waits_behind_one_that_fails_alone_and_hangs(breaker: Breaker, clock: HandClock) -> None:
    alone(breaker)
    assert breaker.turn(0, b"poison") is not None
    clock.seconds += 60.0
    assert breaker.closed


def test_what_was_committed_after_all_is_like_any(breaker: Breaker) -> None:
    alone(breaker)
    assert tried(breaker, None, b"poison")
    assert breaker.failed_alone(b"poison") == 0
    assert tried(breaker, StoreAway("away"), b"poison")
    assert not breaker.closed


def test_a_log_that_lets_nobody_write_is_away_for_all(breaker: Breaker) -> None:
    alone(breaker)
    assert tried(breaker, LogClosed("SASL_AUTHENTICATION_FAILED"), b"poison")
    assert not breaker.closed
