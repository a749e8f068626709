"""What the router logs when things go wrong: technical fields, never what an exception quotes."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pytest

from streams.memory_store import MemoryStore
from streams.objects import StoreAway
from streams.step import NewObject, Stored
from tests.logged import lines
from tests.routers import CT, EXPLICIT, Ct, running_router

PRIVATE = ("Doe", "Jane", "MRN-4711", "Chest", "Lung")


@dataclass
class Failing(MemoryStore):
    """A store whose errors quote what they fell over."""

    error: Exception

    def __post_init__(self) -> None:
        super().__init__()

    def create(self, new: NewObject) -> Stored:
        raise self.error


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (StoreAway("cannot put Doe^Jane"), "instance_not_kept"),
        (ValueError("MRN-4711 is no key"), "instance_failed"),
    ],
)
def test_a_failure_is_logged_without_what_it_quotes(written: io.StringIO, error: Exception, event: str) -> None:
    with running_router(store=Failing(error)) as router:
        assert router.send(Ct().item()).statuses == {"A700": 1}
    assert event in [line["event"] for line in lines(written)]
    assert [word for word in PRIVATE if word in written.getvalue()] == []


def test_nothing_of_an_image_is_logged_when_all_goes_well_or_bytes_are_odd(written: io.StringIO) -> None:
    odd = Ct(name="Doe^Jane\x1b$B?", more={0x00080005: (b"CS", b"ISO 2022 IR 87\\Jane"), 0x00200013: (b"IS", b"Doe")})
    with running_router() as router:
        assert router.send(Ct().item(), odd.item()).acknowledged == 2
        assert router.send(Ct(instance="1.2.9").item(EXPLICIT)).acknowledged == 1
        assert router.received()[0].instance.sop_class_uid == CT
    assert [word for word in PRIVATE if word in written.getvalue()] == []


def test_readiness_says_no_after_a_failure_and_yes_again_later(written: io.StringIO) -> None:
    with running_router(store=Failing(StoreAway("away"))) as router:
        router.send(Ct().item())
        assert "the store" in router.health.failing()["commit"]
        router.receiver.settle()
        assert router.health.failing()
        router.clock.ahead_s = 60.0
        router.receiver.settle()
        assert router.health.failing() == {}
