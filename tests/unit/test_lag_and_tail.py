"""How far groups are behind, what a topic holds, and who did what: on the fake log."""

from __future__ import annotations

import os
import pwd

import pytest

from radstream.audit import audit
from radstream.errors import Failure
from radstream.lag import measure
from radstream.tail import following, held, line_of, partitions_of
from schemas import load_topics
from streams.config import Site
from streams.events import AuditEvent, InstanceValidated
from streams.log import TopicPartition
from streams.wire import Message, SchemaIds, decode
from tests.deciding_world import PARTITIONS, VALIDATED, World, new_world

SITE = Site(tenant="hospital", site="north")


@pytest.fixture
def world() -> World:
    return new_world()


def test_a_group_that_never_committed_has_everything_before_it(world: World) -> None:
    world.say(1, 0, 1)
    world.say(2, 0, lane="stat")
    found = measure(world.log, ["derive"])
    (group,) = found.groups
    assert (found.lag, group.lag) == (3, 3)
    assert group.oldest_age_s is not None
    assert group.oldest_age_s < 60
    behind = [one for one in group.partitions if one.lag]
    assert {(one.topic, one.lane, one.committed) for one in behind} == {
        (VALIDATED, "routine", None),
        (f"{VALIDATED}.stat", "stat", None),
    }
    assert len(group.partitions) == 3 * PARTITIONS + 1  # three lanes and the retry topic


def test_what_was_committed_no_longer_waits(world: World) -> None:
    member = world.member()
    world.say(1, 0, 1)
    assert measure(world.log, ["revisions"]).lag == 2
    world.quiet(member)
    found = measure(world.log, load_topics().groups)
    assert {group.group: group.lag for group in found.groups}["revisions"] == 0
    assert {group.group: group.lag for group in found.groups}["derive"] == 2
    assert found.groups[-1].oldest_age_s == found.oldest_age_s is not None


def test_tail_shows_the_last_or_the_first_in_the_order_of_writing(world: World) -> None:
    for study in range(8):
        world.say(study, 0)
    names = partitions_of(world.log, VALIDATED)
    everything = held(world.log, names, "beginning", 100)
    assert len(everything) == 8
    assert held(world.log, names, "end", 3) == everything[-3:]
    assert held(world.log, names, "beginning", 3) == everything[:3]


def test_tail_follows_from_the_last_ones_on(world: World) -> None:
    world.say(1, 0, 1, 2)
    records = following(world.log, partitions_of(world.log, VALIDATED), "end", 2)
    assert [line_of(next(records)).offset for _ in range(2)] == [1, 2]
    world.say(1, 3)
    line = line_of(next(records))
    assert line.offset == 3
    assert isinstance(line.event, InstanceValidated)
    assert line.headers["ce_id"] == line.event.meta.event_id


def test_tail_shows_what_it_cannot_decode_and_says_why(world: World) -> None:
    world.log.append(Message(VALIDATED, b"key", b"rubbish", (("schema_subject", b"unheard.of"),)))
    (record,) = held(world.log, partitions_of(world.log, VALIDATED), "end", 10)
    line = line_of(record)
    assert (line.event, line.key) == (None, "key")
    assert line.undecodable == "Undecodable: no schema_subject and schema_version headers"


def test_an_unknown_topic_names_those_that_are_there(world: World) -> None:
    with pytest.raises(Failure, match=r"no topic nothing; there are:\n  imaging\.access\.read\n"):
        partitions_of(world.log, "nothing")


def test_audit_says_who_did_what_to_which_subject_and_why(world: World) -> None:
    written = audit(
        world.log,
        SchemaIds(),
        SITE,
        action="catalog.rebuild",
        subject="catalog",
        outcome="success",
        reason="asked",
        attributes={"rows": "7"},
    )
    (record,) = world.log.read(TopicPartition("imaging.audit.event", 0), 0, 1)
    event = decode(record)
    assert event == written
    assert isinstance(event, AuditEvent)
    assert event.actor == pwd.getpwuid(os.getuid()).pw_name
    assert (event.action, event.meta.subject, event.outcome, event.reason) == (
        "catalog.rebuild",
        "catalog",
        "success",
        "asked",
    )
    assert event.attributes == {"rows": "7"}


def test_what_cannot_be_audited_is_a_failure(world: World) -> None:
    world.log.away = True
    with pytest.raises(Failure, match=r"study\.show was not done: the audit event could not be written"):
        audit(world.log, SchemaIds(), SITE, action="study.show", subject="2.25.1", outcome="success")
