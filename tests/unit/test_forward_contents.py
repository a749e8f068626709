"""Of several images under one SOP Instance UID a destination gets one: the first, or the one that a person chose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from streams.events import InstanceValidated, ObjectRef
from streams.held import OTHER_CONTENT
from streams.identity import original_key
from streams.objects import StoreAway
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.step import Done, Input, NewObject, RetryLater
from tests import held_images, images
from tests.nodes import Node, node
from tests.unit.test_forward_step import PIXELS, Bench, data_set_of, jpeg_2000

FIRST, SECOND = images.native(PIXELS), images.native(PIXELS + 1)


class Site(Bench):
    """A bench whose images lie where the router puts them."""

    def __init__(self, folder: Path, there: Node) -> None:
        super().__init__(folder, there.destination())
        self.there = there

    def came(self, data: bytes, store: str = "hot") -> Input[InstanceValidated]:
        found = self.item(data)
        instance = found.event.instance
        uids = (instance.study_uid, instance.series_uid, instance.sop_instance_uid)
        key = original_key(found.event.meta.tenant, *uids, instance.digest)
        ref = self.store.create(NewObject(found.event.meta.tenant, store, key, data)).ref
        return Input(structs.replace(found.event, object=ref), found.record)

    def hold(self, item: Input[InstanceValidated], code: str = OTHER_CONTENT, step: str = "contents") -> None:
        held_images.write(self.log, held_images.held(item.event, code, step))
        self.clock.ahead_s += 2

    def reject(self, item: Input[InstanceValidated]) -> None:
        held_images.write(self.log, held_images.decision(item.event, "rejected"))

    def release(self, item: Input[InstanceValidated]) -> Input[InstanceValidated]:
        held_images.write(self.log, held_images.decision(item.event, "released", OTHER_CONTENT))
        return Input(held_images.let_go(item.event), item.record)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with node([EXPLICIT_VR_LITTLE_ENDIAN]) as there:
        made = Site(tmp_path, there)
        yield made
        made.peer.close()


@pytest.mark.parametrize("where", ["hot", "warm", "cold"])
def test_a_second_image_under_a_uid_that_was_sent_does_not_take_its_place(site: Site, where: str) -> None:
    first = site.came(FIRST, where)
    assert isinstance(site.run(first)[0], Done)
    (outcome,) = site.run(second := site.came(SECOND))

    assert isinstance(outcome, RetryLater)
    assert outcome.scope == "subject"
    assert site.there.data_sets == [data_set_of(FIRST)]
    given_up = site.result(outcome.given_up)
    assert (given_up.outcome, given_up.code) == ("failed", OTHER_CONTENT)

    site.hold(second)
    (outcome,) = site.run(second)
    assert site.result(outcome).code == "held"
    assert site.there.data_sets == [data_set_of(FIRST)]


def test_where_both_are_here_before_one_was_sent_the_one_that_nobody_holds_goes(site: Site) -> None:
    first, second = site.came(FIRST), site.came(SECOND)
    assert all(isinstance(outcome, RetryLater) for outcome in site.run(first, second))
    assert site.there.data_sets == []
    site.hold(second)
    outcomes = site.run(first, second)
    assert [site.result(outcome).code for outcome in outcomes] == ["", "held"]
    assert site.there.data_sets == [data_set_of(FIRST)]


def test_others_go_on_meanwhile(site: Site) -> None:
    site.came(FIRST)
    other = images.native(PIXELS, SOPInstanceUID="1.2.3.99")
    waits, goes = site.run(site.came(SECOND), site.came(other))
    assert isinstance(waits, RetryLater)
    assert isinstance(goes, Done)
    assert site.there.data_sets == [data_set_of(other)]


def test_released_in_place_of_the_first_it_goes(site: Site) -> None:
    first, second = site.came(FIRST), site.came(SECOND)
    site.hold(second)
    site.run(first)
    site.reject(first)
    (outcome,) = site.run(site.release(second))
    assert site.result(outcome).outcome == "done"
    assert site.there.data_sets == [data_set_of(FIRST), data_set_of(SECOND)]


def test_released_beside_the_first_it_does_not_go(site: Site) -> None:
    first, second = site.came(FIRST), site.came(SECOND)
    site.hold(second)
    site.run(first)
    assert isinstance(site.run(site.release(second))[0], RetryLater)
    assert site.there.data_sets == [data_set_of(FIRST)]


def test_a_node_that_kept_the_first_all_the_same_is_said(site: Site) -> None:
    first, second = site.came(FIRST), site.came(SECOND)
    site.hold(second)
    site.reject(first)
    site.there.answer = lambda _: 0x0111
    found = site.result(site.run(site.release(second))[0])
    assert (found.outcome, found.code, found.status) == ("failed", "kept_before", 0x0111)


def test_the_same_image_in_another_transfer_syntax_is_no_other_image(site: Site) -> None:
    site.came(jpeg_2000())
    (outcome,) = site.run(site.came(FIRST))
    assert site.result(outcome).outcome == "done"


@pytest.fixture
def asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The digests that are read, one after the other."""
    read, found = site.store.read, list[str]()

    def counted(ref: ObjectRef) -> bytes:
        found.append(ref.sha256)
        return read(ref)

    monkeypatch.setattr(site.store, "read", counted)
    return found


def test_while_it_waits_the_other_is_read_once(site: Site, asked: list[str]) -> None:
    """Pixels that were compressed take long, and a study has thousands that try again and again."""
    first, second = site.came(FIRST), site.came(SECOND)
    for _ in range(3):
        assert isinstance(site.run(second)[0], RetryLater)
    assert asked.count(first.event.instance.digest) == 1


def test_of_many_under_one_uid_no_more_are_read_than_say_whether_it_waits(site: Site, asked: list[str]) -> None:
    """A device that gives one UID to all its images, or somebody who wants to keep us busy."""
    first, *others = (site.came(images.native(PIXELS + number)) for number in range(6))
    assert isinstance(site.run(first)[0], RetryLater)
    assert len(asked) == 2
    for one in others:
        site.hold(one)
    (outcome,) = site.run(first)
    assert site.result(outcome).outcome == "done"
    assert len(asked) == 3


def test_what_never_flowed_keeps_nothing_back(site: Site) -> None:
    cut = site.came(FIRST[:-20])
    again = site.came(FIRST)
    assert isinstance(site.run(again)[0], RetryLater)  # nobody has judged the other yet
    site.hold(cut, "truncated", "validate")
    (outcome,) = site.run(again)
    assert site.result(outcome).outcome == "done"
    assert site.there.data_sets == [data_set_of(FIRST)]


def test_a_cut_one_that_a_person_let_go_is_not_replaced_by_itself(site: Site) -> None:
    cut = site.came(FIRST[:-20])
    site.hold(cut, "truncated", "validate")
    site.release(cut)
    assert isinstance(site.run(site.came(FIRST))[0], RetryLater)


def test_a_store_that_is_away_is_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    item = site.came(FIRST)

    def away(*_: object) -> None:
        raise StoreAway("away")

    monkeypatch.setattr(site.store, "keys", away)
    (outcome,) = site.run(item)
    assert isinstance(outcome, RetryLater)
    assert outcome.scope == "world"
    assert site.there.data_sets == []


@pytest.mark.parametrize("below", ["warm", "cold", "backup"])
def test_a_store_of_copies_that_is_away_keeps_nothing_back(
    site: Site, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    item = site.came(FIRST)
    keys = site.store.keys

    def away(store: str, prefix: str = "") -> Iterator[tuple[str, int]]:
        if store == below:
            raise StoreAway("away")
        return keys(store, prefix)

    monkeypatch.setattr(site.store, "keys", away)
    (outcome,) = site.run(item)
    assert site.result(outcome).outcome == "done"
    assert site.there.data_sets == [data_set_of(FIRST)]


def test_what_else_lies_beside_an_image_is_no_content(site: Site) -> None:
    item = site.came(FIRST)
    beside = item.event.object.key.removesuffix(".dcm") + ".dcm.bak"
    site.store.create(NewObject(item.event.meta.tenant, "hot", beside, SECOND))
    (outcome,) = site.run(item)
    assert site.result(outcome).outcome == "done"


def test_of_many_studies_that_come_at_once_none_is_listed_for_each_of_its_images(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []
    keys = site.store.keys

    def counted(store: str, prefix: str = "") -> Iterator[tuple[str, int]]:
        listed.append(store)
        return keys(store, prefix)

    monkeypatch.setattr(site.store, "keys", counted)
    studies = range(40)
    for image in range(3):
        for study in studies:
            uids = {"StudyInstanceUID": f"1.2.7.{study}", "SOPInstanceUID": f"1.2.7.{study}.{image}"}
            site.run(site.came(images.native(PIXELS, **uids)))
    assert listed.count("cold") == len(studies)
    assert listed.count("hot") == 3 * len(studies)
