"""While a part is away, one tries and the others do not wait for it."""

from __future__ import annotations

import pytest

from producers.dicom_router.spool.breaker import AWAY, Breaker
from streams.backoff import Backoff
from streams.log import LogAway, LogClosed, TopicClosed
from streams.objects import Damaged, StoreAway
from tests.routers import AdjustableClock

AGAIN = Backoff(first_s=1.0, max_s=8.0)


@pytest.fixture
def clock() -> AdjustableClock:
    return AdjustableClock()


@pytest.fixture
def breaker(clock: AdjustableClock) -> Breaker:
    return Breaker(clock, patience_s=5.0, again=AGAIN)


def tried(breaker: Breaker, error: Exception | None = None) -> bool:
    """Whether there was leave to try; what was tried ends with `error`."""
    turn = breaker.turn(0)
    if turn is None:
        return False
    try:
        with turn:
            if error is not None:
                raise error
    except type(error):  # type: ignore[arg-type]
        pass
    return True


def test_while_all_is_well_everybody_tries(breaker: Breaker) -> None:
    turns = [breaker.turn(0) for _ in range(10)]
    assert None not in turns


@pytest.mark.parametrize("kind", AWAY)
def test_after_a_failure_one_tries_at_a_time_and_less_and_less_often(
    breaker: Breaker, clock: AdjustableClock, kind: type[Exception]
) -> None:
    assert tried(breaker, kind("away"))
    # The first failure may have been that of one connection: one tries again at once.
    assert tried(breaker, kind("away"))
    assert not tried(breaker)
    clock.ahead_s += 1.0
    probe = breaker.turn(0)
    assert probe is not None
    assert not tried(breaker)
    with pytest.raises(kind), probe:
        raise kind("away")
    clock.ahead_s += 0.9
    assert not tried(breaker)
    clock.ahead_s += 1.2
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


def test_an_answer_that_is_a_refusal_is_no_absence(breaker: Breaker) -> None:
    assert tried(breaker, Damaged("other bytes"))
    assert [breaker.turn(0) is None for _ in range(3)] == [False, False, False]


def test_a_probe_that_is_refused_lets_the_next_one_try(breaker: Breaker) -> None:
    assert tried(breaker, StoreAway("away"))
    assert tried(breaker, Damaged("other bytes"))
    assert tried(breaker)


def test_nobody_waits_behind_a_commit_that_hangs(breaker: Breaker, clock: AdjustableClock) -> None:
    hanging = breaker.turn(0)
    assert hanging is not None
    assert tried(breaker)
    clock.ahead_s += 5.1
    assert not tried(breaker)
    with hanging:
        pass
    assert tried(breaker)


def test_a_large_object_may_take_its_time(breaker: Breaker, clock: AdjustableClock) -> None:
    assert breaker.turn(1 << 30) is not None
    clock.ahead_s += 60.0
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
    assert not breaker.closed
    assert breaker.may_try()


def test_who_is_given_no_leave_is_told_what_the_log_does_not_let_us_while_that_is_why(
    breaker: Breaker, clock: AdjustableClock
) -> None:
    assert tried(breaker, LogClosed("SASL_AUTHENTICATION_FAILED"))
    assert isinstance(breaker.away(), LogClosed)
    assert "SASL" in str(breaker.away())
    assert tried(breaker, StoreAway("away"))
    assert isinstance(breaker.away(), LogAway)
