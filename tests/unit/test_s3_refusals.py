"""What a store answers to one object that it takes at no time, told from a store that is away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.objects import StoreAway, StoreRefused
from streams.step import NewObject
from tests.refusing_stores import RESET, TOO_LARGE, Answer, RefusingStore, coded, refusing_store

NEW = NewObject("t", "hot", "t/studies/1.2.3/poison.dcm", b"bytes", "ab" * 32)


@pytest.fixture(scope="module")
def refusing() -> Iterator[RefusingStore]:
    with refusing_store() as served:
        yield served


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (TOO_LARGE, "EntityTooLarge"),
        (coded(400, "KeyTooLongError"), "KeyTooLongError"),
        (coded(400, "XMinioInvalidObjectName"), "XMinioInvalidObjectName"),
        (Answer(413, "<html><h1>413 Request Entity Too Large</h1></html>"), "413"),
        (Answer(413), "413"),
        (Answer(414), "414"),
    ],
)
def test_what_a_store_takes_at_no_time_is_refused(refusing: RefusingStore, answer: Answer, said: str) -> None:
    refusing.answers = {"poison": answer}
    refused = refusing.refused
    with pytest.raises(StoreRefused, match=rf"refuses an object of 5 bytes \({said}\)") as error:
        refusing.store.create(NEW)
    assert "1.2.3" not in str(error.value)
    assert refusing.refused == refused + 1, "nobody asks again"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(400), "answered 400"),
        (Answer(400, "<html>non-2xx status code: 413</html>"), "answered 400"),
        (coded(400, "BadDigest"), "answered BadDigest"),
        (coded(400, "InvalidArgument"), "answered InvalidArgument"),
        (coded(400, "ExpiredToken"), "answered ExpiredToken"),
        (coded(400, "XMinioAdminBucketQuotaExceeded"), "answered XMinio"),
        (coded(403, "AccessDenied"), "refuses the access key"),
        (Answer(401), "answered 401"),
        (Answer(403), "answered 403"),
        (coded(404, "NoSuchBucket"), "a bucket is missing"),
        (Answer(429), "answered 429"),
        (coded(503, "SlowDown"), "answered SlowDown"),
        (coded(507, "InsufficientStorage"), "is full"),
        (RESET, "does not answer"),
    ],
)
def test_what_may_be_the_state_of_the_store_is_an_absence(refusing: RefusingStore, answer: Answer, said: str) -> None:
    refusing.answers = {"poison": answer}
    with pytest.raises(StoreAway, match=said):
        refusing.store.create(NEW)
