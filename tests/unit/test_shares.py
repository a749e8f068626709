"""Counts that processes of one service keep for each other, and the limits that stand on them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from producers.dicom_router.admission import Admission
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
    assert one.associate("here")
    assert two.associate("here")
    assert two.associate("here", "CT1", 1)
    assert not one.associate("here")
    assert not one.associate("there", "CT1", 1)
    assert one.associate("there")
    assert not two.associate("there")
    assert (one.associations, two.associations) == (2, 2)
    two.dissociate("here", "CT1")
    assert one.associate("here", "CT1", 1)
    for _ in range(6):
        assert two.connect("here")
    assert not one.connect("here")
    assert one.connect("there")
    assert one.connect("there")
    assert not two.connect("there")


def test_services_have_limits_of_their_own(descriptor: int) -> None:
    dicom, stow = Admission(1, 1, of(descriptor, 1)), Admission(1, 1, of(descriptor, 2), "stow")
    assert dicom.associate("here")
    assert stow.associate("here")


def test_what_is_refused_is_not_counted(descriptor: int) -> None:
    one, two = (Admission(2, 1, of(descriptor, number)) for number in (1, 2))
    assert one.associate("here")
    for _ in range(3):
        assert not two.associate("here")
        assert not one.associate("here", "CT1", 0)
    assert two.associate("there")
