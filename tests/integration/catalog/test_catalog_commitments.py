"""What the catalog says of storage commitment, and what the service asks it, against a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from consumers.catalog.commitments import CommitmentPage, WholeCommitment, commitments, transaction
from consumers.catalog.counts import counts
from consumers.catalog.database import snapshot
from consumers.commitment.catalog import Catalog
from consumers.commitment.judging import judge
from radstream.__main__ import cli
from radstream.commitments import print_whole
from radstream.errors import Failure
from streams.step import Away
from tests.catalogs import catalog_of, project, projected
from tests.commitment_events import CT, committed, decided, reported, requested
from tests.event_streams import TENANT, Hospital, new_log, write
from tests.quarantine_events import assessed_as_strange, let_go
from tests.quarantine_events import decided as decided_by_hand
from tests.tiering_events import backed_up, grown_cold, moved
from tests.unit.test_commitment_judging import reasons

COMMITMENT = ("imaging.commitment.request", "imaging.commitment.result", "imaging.commitment.report")


def page(dsn: str, **asked: object) -> CommitmentPage:
    with snapshot(dsn) as cursor:
        return commitments(cursor, TENANT, **asked)  # type: ignore[arg-type]


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
    with catalog_of(dsn, log, hospital) as catalog, closing(Catalog(dsn)) as asked:
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
    with catalog_of(dsn, log, hospital) as catalog, closing(Catalog(dsn)) as asked:
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
    with catalog_of(dsn, log, hospital) as catalog, closing(Catalog(dsn)) as asked:
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
    with closing(Catalog(dsn)) as asked:
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
    assert "0x0112, it never came:" in shown
    assert "    1.2\n" in shown
    unknown = CliRunner().invoke(cli, ["commitments", "show", "2.25.8", "--config", str(config)])
    assert isinstance(unknown.exception, Failure)


def test_a_catalog_without_tables_is_away(new_database: Callable[[], str]) -> None:
    with closing(Catalog(new_database())) as asked, pytest.raises(Away):
        asked.of(requested(Hospital(), "2.25.7", ["1.1"]))
