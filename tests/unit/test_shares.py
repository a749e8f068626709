"""Counts that processes of one service keep for each other, and the limits that stand on them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from streams.admission import Admission, Place
from streams.handover import shares
from streams.handover.shares import Shares

COUNT = 3


@pytest.fixture
def descriptor() -> Iterator[int]:
    made = shares.create(COUNT)
    yield made
    os.close(made)


def of(descriptor: int, number: int) -> Shares:
    return Shares(os.dup(descriptor), number, COUNT)


def test_each_reads_what_the_others_told(descriptor: int) -> None:
    one, two, three = (of(descriptor, number) for number in (1, 2, 3))
    one.tell("a", 2)
    two.tell("a", 5)
    two.tell("b", 1)
    assert [each.elsewhere("a") for each in (one, two, three)] == [5, 2, 7]
    assert [each.elsewhere("b") for each in (one, two, three)] == [1, 0, 1]
    two.tell("a", 0)
    one.tell("a", 3)
    assert [each.elsewhere("a") for each in (one, two, three)] == [0, 3, 3]


def test_what_a_process_leaves_is_cleared_and_the_others_stay(descriptor: int) -> None:
    one, two = of(descriptor, 1), of(descriptor, 2)
    one.tell("a", 2)
    two.tell("a", 5)
    shares.clear(descriptor, 2)
    assert one.elsewhere("a") == 0
    again = of(descriptor, 2)
    again.tell("a", 1)
    assert again.elsewhere("a") == 2
    assert one.elsewhere("a") == 1


def test_more_names_than_there_is_room_for_are_told_when_others_are_gone(descriptor: int) -> None:
    one, two = of(descriptor, 1), of(descriptor, 2)
    for number in range(shares.NAMES_MAX + 1):
        one.tell(f"name {number}", 1)
    assert two.elsewhere(f"name {shares.NAMES_MAX - 1}") == 1
    assert two.elsewhere(f"name {shares.NAMES_MAX}") == 0
    one.tell("name 0", 0)
    one.tell(f"name {shares.NAMES_MAX}", 2)
    assert two.elsewhere(f"name {shares.NAMES_MAX}") == 2


def test_limits_hold_for_all_processes_together(descriptor: int) -> None:
    one, two = (Admission(4, 3, of(descriptor, number)) for number in (1, 2))
    first, second, third, fourth = (connected(admission, "10.0.0.1") for admission in (one, two, two, one))
    others = connected(one, "10.0.0.2"), connected(two, "10.0.0.2")
    assert first.associate()
    assert second.associate()
    assert third.associate("CT1", 1)
    assert not fourth.associate()
    assert not others[0].associate("CT1", 1)
    assert others[0].associate()
    assert not others[1].associate()
    assert (one.associations, two.associations) == (2, 2)
    third.dissociate()
    assert fourth.associate("CT1", 1)
    for _ in range(2):
        connected(two, "10.0.0.1")
    assert one.connect("10.0.0.1") is None
    assert two.connect("10.0.0.2") is None
    second.leave()
    assert connected(one, "10.0.0.1").associate()


def test_services_have_limits_of_their_own(descriptor: int) -> None:
    dicom, stow = Admission(1, 1, of(descriptor, 1)), Admission(1, 1, of(descriptor, 2), "stow")
    assert connected(dicom, "10.0.0.1").associate()
    assert connected(stow, "10.0.0.1").associate()


def test_what_is_refused_is_not_counted(descriptor: int) -> None:
    one, two = (Admission(2, 1, of(descriptor, number)) for number in (1, 2))
    assert connected(one, "10.0.0.1").associate()
    again = connected(two, "10.0.0.1")
    for _ in range(3):
        assert not again.associate()
        assert not again.associate("CT1", 0)
    assert connected(two, "10.0.0.2").associate()


def connected(admission: Admission, address: str) -> Place:
    place = admission.connect(address)
    assert place is not None
    return place
