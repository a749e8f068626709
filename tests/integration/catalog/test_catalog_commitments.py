"""What the catalog says of storage commitment, and what the service asks it, against a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import pytest
from click.testing import CliRunner
from msgspec import structs

from consumers.catalog.commitments import CommitmentPage, WholeCommitment, commitments, transaction
from consumers.catalog.counts import counts
from consumers.catalog.database import snapshot
from consumers.commitment.arrivals import Arrivals
from consumers.commitment.catalog import Catalog
from consumers.commitment.judging import judge
from radstream.__main__ import cli
from radstream.commitments import print_whole
from radstream.errors import Failure
from streams.events import CommitmentRequest, InstanceReceived
from streams.memory_log import MemoryLog
from streams.step import Away
from tests.catalogs import catalog_of, project, projected
from tests.commitment_events import CT, committed, decided, reported, requested
from tests.event_streams import TENANT, Hospital, new_log, write
from tests.quarantine_events import assessed_as_strange, let_go
from tests.quarantine_events import decided as decided_by_hand
from tests.tiering_events import backed_up, grown_cold, moved
from tests.unit.test_commitment_judging import reasons

T = TypeVar("T", CommitmentRequest, InstanceReceived)

# What copies in each store count as.
APART = {name: name for name in ("hot", "warm", "cold", "backup")}

COMMITMENT = ("imaging.commitment.request", "imaging.commitment.result", "imaging.commitment.report")


def page(dsn: str, **asked: object) -> CommitmentPage:
    with snapshot(dsn) as cursor:
        return commitments(cursor, TENANT, **asked)


def whole(dsn: str, transaction_uid: str) -> list[WholeCommitment]:
    with snapshot(dsn) as cursor:
        return transaction(cursor, TENANT, transaction_uid)


def test_a_request_goes_from_waiting_to_delivered(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    request = requested(hospital, "2.25.7", ["1.1", "1.2"])
    with catalog_of(dsn, log, hospital) as catalog:
        for event, standing in (
            (request, "waiting"),
            (decided(hospital, request, ["1.2"]), "judged"),
            (reported(hospital, request, "abandoned"), "abandoned"),
            (reported(hospital, request, "delivered"), "delivered"),
        ):
            write(log, [event])
            project(catalog, log)
            (one,) = page(dsn).commitments
            assert one.standing == standing
    (found,) = whole(dsn, "2.25.7")
    assert (found.instances, found.committed, found.failed, found.node, found.why) == (2, 1, 1, "ct-1", None)
    assert found.failures == [{"reason": 0x0112, "sop_class_uid": CT, "sop_instance_uids": ["1.2"]}]
    assert found.refs == [{"sop_class_uid": CT, "sop_instance_uids": ["1.1", "1.2"]}]


def test_each_event_counts_once_and_pages_go_on_where_the_last_ended(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    write(log, committed(hospital, hospital.study("P1", "DOE")))
    projected(dsn, log, hospital)
    with snapshot(dsn) as cursor:
        found = counts(cursor)
    assert [found[topic] for topic in COMMITMENT] == [3, 2, 2]
    first = page(dsn, limit=2)
    second = page(dsn, limit=2, before=first.next)
    assert [one.standing for one in (*first.commitments, *second.commitments)] == ["waiting", "abandoned", "delivered"]
    assert second.next is None
    assert [one.standing for one in page(dsn, open_only=True).commitments] == ["waiting"]
    assert page(dsn, calling_ae="CT2").commitments == []
    assert len(whole(dsn, first.commitments[0].transaction_uid)) == 2


def test_what_the_service_asks_is_answered_by_what_tiering_has_decided(dsn: str) -> None:
    """Received is not safe; verified in two stores is, also when the study has grown cold since."""
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE", series=1)
    late = hospital.received(images[0].instance.study_uid, images[0].instance.series_uid, {})
    uids = [image.instance.sop_instance_uid for image in (*images, late)]
    request = requested(hospital, "2.25.7", [*uids, "1.2.3"], images[0].instance.sop_class_uid)
    expected = {
        "received": [0x0110, 0x0110, 0x0110, 0x0112],
        "backed up": [0, 0, 0, 0x0112],
        "cold": [0, 0, 0, 0x0112],
    }
    with catalog_of(dsn, log, hospital) as catalog, closing(Catalog(dsn, Arrivals(log), {}, APART)) as asked:
        assert asked.of(request).first_request is None
        for now, events in (
            ("received", [*images, request]),
            ("backed up", backed_up(hospital, images)),
            ("cold", grown_cold(hospital, images)),
        ):
            write(log, events)
            project(catalog, log)
            known = asked.of(request)
            assert known.first_request == request.meta.event_id
            said = reasons(judge(request, known, copies=2))
            assert [said[uid] for uid in (*uids[:3], "1.2.3")] == expected[now]
            assert said[uids[3]] == 0x0112
        write(log, [late])
        project(catalog, log)
        assert reasons(judge(request, asked.of(request), copies=2))[uids[3]] == 0x0110


def test_what_is_held_is_not_safe_however_many_copies_it_has(dsn: str) -> None:
    """An image of another patient is backed up before its study is looked at; its scanner has to keep it until then."""
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE", series=1)
    stray, doubted, own = images
    uids = [image.instance.sop_instance_uid for image in images]
    request = requested(hospital, "2.25.7", uids, own.instance.sop_class_uid)
    write(log, [*images, *map(hospital.validated, images), *backed_up(hospital, images), request])
    with catalog_of(dsn, log, hospital) as catalog, closing(Catalog(dsn, Arrivals(log), {}, APART)) as asked:
        for events, expected in (
            ([], [0, 0, 0]),
            ([assessed_as_strange(hospital, stray), assessed_as_strange(hospital, doubted)], [0x0110, 0x0110, 0]),
            (
                [
                    decided_by_hand(hospital, stray, "rejected", code="contradicts_patient"),
                    decided_by_hand(hospital, doubted, "released", code="contradicts_patient"),
                    let_go(hospital, doubted),
                ],
                [0x0110, 0, 0],
            ),
        ):
            write(log, events)
            project(catalog, log)
            said = reasons(judge(request, asked.of(request), copies=2))
            assert [said[uid] for uid in uids] == expected


def test_what_was_rejected_does_not_stand_in_the_way_of_what_was_sent_corrected(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE", series=1)
    wrong, *others = images
    instance = wrong.instance
    right = hospital.received(instance.study_uid, instance.series_uid, {}, sop_instance_uid=instance.sop_instance_uid)
    request = requested(hospital, "2.25.7", [instance.sop_instance_uid], instance.sop_class_uid)
    write(log, [*images, *map(hospital.validated, images), *backed_up(hospital, images), request])
    write(log, [assessed_as_strange(hospital, wrong), decided_by_hand(hospital, wrong, "rejected")])
    stands = [right, *others]
    with catalog_of(dsn, log, hospital) as catalog, closing(Catalog(dsn, Arrivals(log), {}, APART)) as asked:
        for events, reason, still_open in (
            ([], 0x0110, 1),
            ([right, hospital.validated(right)], 0x0110, 1),
            ([moved(hospital, [wrong, *stands], 4, "verified", ["hot", "backup"])], 0, 0),
        ):
            write(log, events)
            project(catalog, log)
            judged = judge(request, asked.of(request), copies=2)
            assert (reasons(judged), judged.open) == ({instance.sop_instance_uid: reason}, still_open)


def test_the_first_request_with_a_transaction_uid_has_it(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    first, second = requested(hospital, "2.25.7", ["1.1"]), requested(hospital, "2.25.7", ["1.2"])
    write(log, [first, second])
    projected(dsn, log, hospital)
    with closing(Catalog(dsn, Arrivals(log), {}, APART)) as asked:
        assert asked.of(second).first_request == first.meta.event_id
        assert reasons(judge(second, asked.of(second), copies=2)) == {"1.2": 0x0131}


def test_what_a_person_reads_names_reasons_in_words(
    dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hospital, log = Hospital(), new_log()
    request = requested(hospital, "2.25.7", ["1.1", "1.2"])
    write(log, [request, decided(hospital, request, ["1.2"]), reported(hospital, request, "abandoned")])
    projected(dsn, log, hospital)
    config = tmp_path / "radstream.toml"
    config.write_text(f'[site]\ntenant = "{TENANT}"\nsite = "north"\n[catalog]\nhttp_port = 1\ndsn = "{dsn}"\n')
    listed = CliRunner().invoke(cli, ["commitments", "list", "--config", str(config)])
    assert listed.exit_code == 0
    assert all(word in listed.stdout for word in ("CT1", "2.25.7", "abandoned"))
    print_whole(whole(dsn, "2.25.7"))
    shown = capsys.readouterr().out
    assert "1 of 2 committed, each in 2 verified copies or more" in shown
    assert "could not be told: ct-1: nothing answers there" in shown
    assert "0x0112, it never came from who asks:" in shown
    assert "    1.2\n" in shown
    unknown = CliRunner().invoke(cli, ["commitments", "show", "2.25.8", "--config", str(config)])
    assert isinstance(unknown.exception, Failure)


def test_a_catalog_without_tables_is_away(new_database: Callable[[], str]) -> None:
    with closing(Catalog(new_database(), Arrivals(new_log()), {}, APART)) as asked, pytest.raises(Away):
        asked.of(requested(Hospital(), "2.25.7", ["1.1"]))


class Asked:
    """One SOP Instance UID that several devices used, and what each of them would be told of it."""

    def __init__(self, dsn: str, hospital: Hospital, log: MemoryLog, uid: str) -> None:
        self._dsn, self._hospital, self._log, self._uid = dsn, hospital, log, uid

    def by(
        self,
        *titles: str,
        asks_for: Mapping[str, Sequence[str]] = MappingProxyType({}),
        places: Mapping[str, str] = APART,
    ) -> dict[str, int]:
        requests = [of_title(requested(self._hospital, self._hospital.uid(), [self._uid]), title) for title in titles]
        write(self._log, requests)
        projected(self._dsn, self._log, self._hospital)
        with closing(Catalog(self._dsn, Arrivals(self._log), asks_for, places)) as catalog:
            said = [reasons(judge(request, catalog.of(request), copies=2)) for request in requests]
        return {title: one[self._uid] for title, one in zip(titles, said, strict=True)}


def of_title(event: T, calling_ae: str) -> T:
    """The same, of another sender."""
    return structs.replace(event, source=structs.replace(event.source, calling_ae=calling_ae))


def two_devices(hospital: Hospital) -> tuple[InstanceReceived, InstanceReceived]:
    """An image of CT1, and another of CT2 under the same SOP Instance UID."""
    first = hospital.study("P1", "DOE", series=1, images=1)[0]
    return first, of_title(beside(hospital, first), "CT2")


def beside(hospital: Hospital, image: InstanceReceived) -> InstanceReceived:
    """Other content under the same UID."""
    instance = image.instance
    return hospital.received(instance.study_uid, instance.series_uid, {}, sop_instance_uid=instance.sop_instance_uid)


def again(hospital: Hospital, image: InstanceReceived) -> InstanceReceived:
    """The same bytes later: the router publishes the same event."""
    return structs.replace(image, meta=structs.replace(image.meta, occurred_at=hospital.now()))


def test_a_sender_is_told_of_what_it_delivered_itself(dsn: str) -> None:
    """Another device's image under the same UID is no reason to delete one's own."""
    hospital, log = Hospital(), new_log()
    first, second = two_devices(hospital)
    asked = Asked(dsn, hospital, log, first.instance.sop_instance_uid)
    write(log, [first, second, hospital.validated(first), hospital.validated(second)])
    write(log, backed_up(hospital, [first]))
    assert asked.by("CT1", "CT2", "CT3") == {"CT1": 0, "CT2": 0x0110, "CT3": 0x0112}
    # Its bytes are kept, and who retrieves by the UID gets the other's.
    write(log, [moved(hospital, [first, second], 4, "verified", ["hot", "backup"])])
    assert asked.by("CT1", "CT2", "CT3") == {"CT1": 0, "CT2": 0x0110, "CT3": 0x0112}
    write(log, [of_title(again(hospital, first), "CT3")])
    assert asked.by("CT1", "CT2", "CT3") == {"CT1": 0, "CT2": 0x0110, "CT3": 0}


@pytest.mark.parametrize(("rejected", "told"), [(0, {"CT1": 0x0110, "CT2": 0}), (1, {"CT1": 0, "CT2": 0x0110})])
def test_whose_image_was_rejected_is_not_told_that_the_others_is_safe(
    dsn: str, rejected: int, told: dict[str, int]
) -> None:
    hospital, log = Hospital(), new_log()
    both = two_devices(hospital)
    write(log, [*both, *map(hospital.validated, both), *backed_up(hospital, both)])
    write(log, [assessed_as_strange(hospital, both[rejected]), decided_by_hand(hospital, both[rejected], "rejected")])
    assert Asked(dsn, hospital, log, both[0].instance.sop_instance_uid).by("CT1", "CT2") == told


def test_what_a_sender_has_now_is_what_it_delivered_last(dsn: str) -> None:
    """A second version that a person did not want is not safe because the first is."""
    hospital, log = Hospital(), new_log()
    first = hospital.study("P1", "DOE", series=1, images=1)[0]
    second = beside(hospital, first)
    both = (first, second)
    asked = Asked(dsn, hospital, log, first.instance.sop_instance_uid)
    write(log, [*both, *map(hospital.validated, both), *backed_up(hospital, both)])
    assert asked.by("CT1") == {"CT1": 0}
    write(log, [assessed_as_strange(hospital, second), decided_by_hand(hospital, second, "rejected")])
    assert asked.by("CT1") == {"CT1": 0x0110}
    write(log, [again(hospital, first)])
    assert asked.by("CT1") == {"CT1": 0}


def test_a_device_that_asks_under_another_title_than_it_sends_is_entered(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE", series=1, images=1)
    write(log, [*images, *map(hospital.validated, images), *backed_up(hospital, images)])
    asked = Asked(dsn, hospital, log, images[0].instance.sop_instance_uid)
    assert asked.by("CT1", "CT1_SC") == {"CT1": 0, "CT1_SC": 0x0112}
    assert asked.by("CT1", "CT1_SC", asks_for={"CT1_SC": ("CT1",)}) == {"CT1": 0, "CT1_SC": 0}


def test_two_copies_in_one_place_are_one(dsn: str) -> None:
    """Hot and backup on the same disks are lost together."""
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE", series=1, images=1)
    write(log, [*images, *map(hospital.validated, images), *backed_up(hospital, images)])
    asked = Asked(dsn, hospital, log, images[0].instance.sop_instance_uid)
    together = {**APART, "hot": "rack 1", "warm": "rack 1", "backup": "rack 1"}
    assert asked.by("CT1", places=together) == {"CT1": 0x0110}
    assert asked.by("CT1", places={**together, "backup": "building B"}) == {"CT1": 0}
    # Nobody reads there any more.
    assert asked.by("CT1", places={"hot": "rack 1"}) == {"CT1": 0x0110}


def test_a_catalog_that_lacks_what_came_before_the_request_is_behind(dsn: str) -> None:
    """It knows the request, which has a topic of its own, and of two images of one device under one UID the first."""
    hospital, log = Hospital(), new_log()
    first = hospital.study("P1", "DOE", series=1, images=1)[0]
    request = requested(hospital, "2.25.7", [first.instance.sop_instance_uid])
    asked_now = structs.replace(request, meta=structs.replace(request.meta, occurred_at=datetime.now(UTC)))
    write(log, [first, hospital.validated(first), *backed_up(hospital, [first])])
    with catalog_of(dsn, log, hospital) as catalog, closing(Catalog(dsn, Arrivals(log), {}, APART)) as asked:
        project(catalog, log)
        assert not asked.of(asked_now).is_behind
        write(log, [beside(hospital, first)])
        known = asked.of(asked_now)
        assert (known.is_behind, reasons(judge(request, known, copies=2))) == (
            True,
            {request.references[0].sop_instance_uids[0]: 0},
        )
        project(catalog, log)
        known = asked.of(asked_now)
        assert not known.is_behind
        assert set(reasons(judge(request, known, copies=2)).values()) == {0x0110}


def test_what_comes_long_after_the_request_is_not_waited_for(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE", series=1, images=1)
    projected(dsn, log, hospital)
    write(log, images)
    request = requested(hospital, "2.25.7", ["1.2.3"])
    an_hour_ago = structs.replace(request.meta, occurred_at=datetime.now(UTC) - timedelta(hours=1))
    with closing(Catalog(dsn, Arrivals(log), {}, APART)) as asked:
        assert not asked.of(structs.replace(request, meta=an_hour_ago)).is_behind
