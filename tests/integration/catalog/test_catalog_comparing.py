"""A generation beside what is current without it: the same, different and in what, missing, extra."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from consumers.catalog.comparing import EXAMPLES_MAX, Comparison, compare
from consumers.catalog.database import snapshot
from streams.events import InputRef, InstanceDerived, InstanceReceived, Replay
from tests.catalogs import projected
from tests.event_streams import TENANT, Candidate, Hospital, new_log, write

TOPIC = "imaging.instance.validated"
READ = Replay(name="test", starts={f"{TOPIC}/0": 10}, ends={f"{TOPIC}/0": 20})


def compared(dsn: str, step: str, generation: int, replay: Replay = READ) -> Comparison:
    with snapshot(dsn) as cursor:
        return compare(cursor, TENANT, step, generation, replay)


def read_at(event: InstanceDerived, offset: int) -> InstanceDerived:
    """As made of the record at that offset."""
    ref = InputRef(topic=TOPIC, topic_id="t", partition=0, offset=offset, event_id=event.meta.event_id)
    return structs.replace(event, provenance=structs.replace(event.provenance, inputs=(ref,)))


def like(made: InstanceDerived, other: InstanceDerived) -> InstanceDerived:
    """With the bytes of the other, in an object of its own."""
    copies = tuple(
        structs.replace(mine, object=structs.replace(mine.object, sha256=theirs.object.sha256))
        for mine, theirs in zip(made.representations, other.representations, strict=True)
    )
    return structs.replace(made, representations=copies)


def pairs(hospital: Hospital, images: Sequence[InstanceReceived]) -> list[tuple[InstanceDerived, InstanceDerived]]:
    """Of each image what generation 1 made of a record within the replay's, and generation 2 made like it."""
    found = []
    for number, image in enumerate(images):
        first = read_at(hospital.derived(image), 10 + number)
        found.append((first, read_at(like(hospital.derived(image, 2), first), 10 + number)))
    return found


def test_of_each_image_it_is_said_what_differs(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE", series=1, images=7)
    same, noted, other_thumbnail, gone, missing, outside, extra = pairs(hospital, images)
    lossless, thumbnail = other_thumbnail[1].representations
    smaller = structs.replace(thumbnail, rows=64, object=structs.replace(thumbnail.object, sha256="0" * 64))
    write(log, [one[0] for one in (same, noted, other_thumbnail, gone, missing)])
    write(log, [read_at(outside[0], 20), hospital.replay("derive", 2)])
    made = [
        same[1],
        structs.replace(noted[1], notes=("arrived_lossy",)),
        structs.replace(other_thumbnail[1], representations=(lossless, smaller)),
        structs.replace(gone[1], representations=gone[1].representations[1:]),
        extra[1],
    ]
    write(log, [Candidate(event) for event in made])
    projected(dsn, log, hospital)
    found = compared(dsn, "derive", 2)
    assert (found.same, found.different, found.missing, found.extra) == (1, 3, 1, 1)
    assert not found.equal
    by_digest = {one.digest: one.what for one in found.examples}
    assert by_digest == {
        noted[0].instance.digest: ("notes",),
        other_thumbnail[0].instance.digest: ("thumbnail rows", "thumbnail sha256"),
        gone[0].instance.digest: ("lossless gone",),
        missing[0].instance.digest: ("missing",),
        extra[0].instance.digest: ("extra",),
    }
    assert compared(dsn, "derive", 2, structs.replace(READ, study_uid="1.2")).missing == 0


def test_a_generation_that_was_switched_to_is_compared_with_what_was_current_before(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE", series=1, images=3)
    made = pairs(hospital, images)
    claim = hospital.replay("derive", 2)
    write(log, [*(first for first, _ in made), claim, hospital.came_to(claim, "switched")])
    write(log, [Candidate(second) for _, second in made])
    # Another candidate, higher still, is not what this one is compared with.
    write(log, [hospital.replay("derive", 3), *(Candidate(hospital.derived(image, 3)) for image in images)])
    projected(dsn, log, hospital)
    found = compared(dsn, "derive", 2)
    assert (found.same, found.equal) == (3, True)
    assert compared(dsn, "derive", 3).different == 3


def test_verdicts_differ_in_what_they_say_and_find(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    one, two, three = hospital.study("P1", "DOE", series=1, images=3)
    write(log, [hospital.validated(one, findings=2), hospital.validated(two), hospital.validated(three, findings=1)])
    made = [hospital.validated(one, 2, findings=2), hospital.quarantined(two, 2), hospital.validated(three, 2)]
    write(log, [hospital.replay("validate", 2), *map(Candidate, made)])
    projected(dsn, log, hospital)
    found = compared(dsn, "validate", 2)
    assert (found.same, found.different) == (1, 2)
    assert found.differences == {"findings": 1, "verdict": 1, "code": 1, "detail": 1}


def test_of_many_differences_all_are_counted_and_a_few_are_shown(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE", series=1, images=EXAMPLES_MAX + 5)
    write(log, [*map(hospital.derived, images), hospital.replay("derive", 2)])
    write(log, [Candidate(hospital.derived(image, 2)) for image in images])
    projected(dsn, log, hospital)
    found = compared(dsn, "derive", 2)
    assert (found.different, len(found.examples)) == (EXAMPLES_MAX + 5, EXAMPLES_MAX)
