"""What the catalog says of images that are held after they flowed, against a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from consumers.catalog.counts import open_work
from consumers.catalog.database import snapshot
from consumers.catalog.enhanced import enhanced
from consumers.catalog.rebuild import Rebuild
from consumers.catalog.studies import page
from consumers.catalog.study import Study, study
from streams.events import Event, InstanceReceived, StudyRevision
from tests import held_images
from tests.catalogs import projected, rows
from tests.event_streams import TENANT, Hospital, new_log, write
from tests.forward_events import forwarded, refused
from tests.inference_events import result
from tests.quarantine_events import assessed_as_strange, decided, let_go

STANDING = "SELECT revision, input_count FROM standing_inferences ORDER BY 1, 2"
FORWARDS = "SELECT outcome, code FROM current_forwards ORDER BY 1"


class Archive:
    """A log, and the catalog that follows it."""

    def __init__(self, dsn: str) -> None:
        self.dsn, self.hospital, self.log = dsn, Hospital(), new_log()

    def follow(self, *events: Event) -> None:
        write(self.log, events)
        projected(self.dsn, self.log, self.hospital)

    def whole(self, image: InstanceReceived) -> Study:
        with snapshot(self.dsn) as cursor:
            found = study(cursor, TENANT, image.instance.study_uid)
        assert found is not None
        return found

    def without(self, rest: Sequence[InstanceReceived], series_uid: str, number: int) -> StudyRevision:
        return structs.replace(self.hospital.revision(rest, number), removals={series_uid: number})


def test_a_result_made_with_an_image_that_is_held_later_does_not_stand_and_is_listed(dsn: str) -> None:
    archive = Archive(dsn)
    hospital = archive.hospital
    own = hospital.study("P1", "DOE", series=1, images=3)
    stray = own[-1]
    first, second = result(hospital, own[:2]), result(hospital, own, revision=2)
    archive.follow(*own, hospital.revision(own[:2]), first, hospital.revision(own, 2), second)
    assert rows(dsn, STANDING) == [(2, 3)]

    archive.follow(assessed_as_strange(hospital, stray), archive.without(own[:2], stray.instance.series_uid, 3))
    assert rows(dsn, STANDING) == []
    found = archive.whole(stray)
    assert {(one.event_id, one.withdrawn_by) for one in found.withdrawn} == {
        (one.meta.event_id, 3) for one in (first, second)
    }
    assert [one["without_held"] for one in found.revisions] == [False, False, True]

    anew = structs.replace(result(hospital, own[:2], revision=3), meta=hospital.meta("ai.nodule-ct", "since/3"))
    archive.follow(anew)
    assert rows(dsn, STANDING) == [(3, 2)]


def test_what_was_said_of_another_series_of_the_study_stands(dsn: str) -> None:
    archive = Archive(dsn)
    hospital = archive.hospital
    images = hospital.study("P1", "DOE", series=2, images=2)
    one = [image for image in images if image.instance.series_uid == images[0].instance.series_uid]
    other = [image for image in images if image not in one]
    archive.follow(*images, hospital.revision(images), result(hospital, one), result(hospital, other))
    archive.follow(archive.without(other, one[0].instance.series_uid, 2))
    assert rows(dsn, "SELECT series_uid FROM standing_inferences") == [(other[0].instance.series_uid,)]


def test_a_result_about_one_image_stands_while_that_image_flows(dsn: str) -> None:
    archive = Archive(dsn)
    hospital = archive.hospital
    (image,) = hospital.study("P1", "DOE", series=1, images=1)
    about = structs.replace(
        result(hospital, [image]),
        revision=None,
        sop_instance_uid=image.instance.sop_instance_uid,
        input_digest=image.instance.digest,
    )
    standing = "SELECT count(*) FROM standing_inferences"
    archive.follow(image, hospital.validated(image), about)
    assert rows(dsn, standing) == [(1,)]
    archive.follow(assessed_as_strange(hospital, image))
    assert rows(dsn, standing) == [(0,)]
    released = decided(hospital, image, "released", 0, "contradicts_patient")
    archive.follow(released, let_go(hospital, image))
    assert rows(dsn, standing) == [(1,)]


def test_a_failed_sending_after_one_that_arrived_is_not_hidden(dsn: str) -> None:
    archive = Archive(dsn)
    hospital = archive.hospital
    (image,) = hospital.study("P1", "DOE", series=1, images=1)
    archive.follow(image, refused(hospital, image))
    assert rows(dsn, FORWARDS) == [("failed", "refused")]
    archive.follow(forwarded(hospital, image))
    assert rows(dsn, FORWARDS) == [("done", "")]
    again = structs.replace(refused(hospital, image), meta=hospital.meta("forward.pacs", "as/1", ordinal=2))
    archive.follow(again)
    assert rows(dsn, FORWARDS) == [("done", ""), ("failed", "refused")]


def test_images_that_others_were_sent_before_they_were_held_are_listed_for_a_person(dsn: str) -> None:
    archive = Archive(dsn)
    hospital = archive.hospital
    own, stray, unsent = hospital.study("P1", "DOE", series=1, images=3)
    sent = [forwarded(hospital, image) for image in (own, stray)]
    archive.follow(own, stray, unsent, *(hospital.validated(image) for image in (own, stray, unsent)), *sent)
    archive.follow(*(hospital.derived(image) for image in (own, stray)))
    assert archive.whole(own).held_sent == []

    archive.follow(assessed_as_strange(hospital, stray), assessed_as_strange(hospital, unsent))
    found = archive.whole(own)
    (one,) = found.held_sent
    assert (one.target, one.digest, one.code, one.decision) == (
        "pacs",
        stray.instance.digest,
        "contradicts_patient",
        None,
    )
    assert sum(copies["held"] for copies in found.copies) * 2 == sum(copies["copies"] for copies in found.copies)
    with snapshot(dsn) as cursor:
        (line,) = page(cursor, TENANT, limit=10).studies
    assert (line.quarantined, line.held_sent) == (2, 1)

    archive.follow(decided(hospital, stray, "rejected", 0, "contradicts_patient"))
    assert [one.decision for one in archive.whole(own).held_sent] == ["rejected"]


def test_a_study_is_done_when_its_revision_is_without_what_is_held(dsn: str) -> None:
    archive = Archive(dsn)
    hospital = archive.hospital
    own, stray = hospital.study("P1", "DOE", series=1, images=2)

    def waits() -> int:
        with snapshot(dsn) as cursor:
            return open_work(cursor)["studies without a current revision"]

    valid = [hospital.validated(image) for image in (own, stray)]
    archive.follow(own, stray, *valid, hospital.revision([own, stray]))
    assert waits() == 0
    archive.follow(assessed_as_strange(hospital, stray))
    assert waits() == 1
    archive.follow(archive.without([own], own.instance.series_uid, 2))
    assert waits() == 0


def test_enhanced_objects_are_those_of_images_that_are_served(dsn: str) -> None:
    archive = Archive(dsn)
    hospital = archive.hospital
    own, stray = hospital.study("P1", "DOE", series=1, images=2)
    for image in (own, stray):
        copies = hospital.derived(image)
        (first, *rest) = copies.representations
        made = structs.replace(copies, representations=(structs.replace(first, kind="enhanced"), *rest))
        archive.follow(image, hospital.validated(image), made)

    def found() -> list[tuple[str, int, int]]:
        with snapshot(dsn) as cursor:
            objects = enhanced(cursor, TENANT, own.instance.study_uid)
        return [(one.source_sop_instance_uid, one.first_byte, one.length) for one in objects]

    assert {name for name, *_ in found()} == {image.instance.sop_instance_uid for image in (own, stray)}
    archive.follow(assessed_as_strange(hospital, stray))
    assert found() == [(own.instance.sop_instance_uid, 0, 190_000)]


def test_that_validate_says_what_was_rejected_changes_nothing_that_is_served(dsn: str) -> None:
    archive = Archive(dsn)
    hospital = archive.hospital
    (image,) = hospital.study("P1", "DOE", series=1, images=1)
    archive.follow(image, hospital.quarantined(image), decided(hospital, image, "rejected"))
    rejected = held_images.held(hospital.validated(image), "rejected", "quarantine", 0)
    archive.follow(rejected)
    assert [(one["step"], one["decision"]) for one in archive.whole(image).quarantined] == [("validate", "rejected")]
    # It is one event for ever; so it is there still when a person has thought better of it.
    archive.follow(decided(hospital, image, "released", 1), let_go(hospital, image), rejected)
    assert archive.whole(image).counts.served == 1
    assert rows(dsn, "SELECT count(*) FROM verdicts WHERE code = 'rejected'") == [(1,)]


def test_a_rebuild_knows_what_was_taken_out_of_a_study(dsn: str) -> None:
    archive = Archive(dsn)
    hospital = archive.hospital
    images = hospital.study("P1", "DOE", series=1, images=2)
    archive.follow(*images, hospital.revision(images), archive.without(images[:1], "1.2.3", 2))
    assert Rebuild(dsn, archive.log, hospital.blocks, lambda *_: None).run(switch=True).equal
    assert rows(dsn, "SELECT revision, removals FROM study_revisions ORDER BY 1") == [(1, {}), (2, {"1.2.3": 2})]
