"""What people decide on held instances is what the catalog serves, and verdicts and findings can be asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from consumers.catalog.database import snapshot
from consumers.catalog.holding import show
from consumers.catalog.presence import present
from consumers.catalog.quarantine import Verdicts, broken_rules, findings_of, standing, undecided, verdicts
from consumers.catalog.study import Study, study
from radstream import quarantine_waiting
from radstream.errors import Failure
from streams.config import load
from streams.events import Event, InstanceReceived
from tests.catalogs import checksum_of, projected, rows
from tests.event_streams import TENANT, Hospital, new_log, write
from tests.quarantine_events import assessed_as_strange, decided, judged_by_people, let_go


def kept(dsn: str, hospital: Hospital, *events: Event) -> None:
    log = new_log()
    write(log, events)
    projected(dsn, log, hospital)


def whole(dsn: str, image: InstanceReceived) -> Study:
    with snapshot(dsn) as cursor:
        found = study(cursor, TENANT, image.instance.study_uid)
    assert found is not None
    return found


def served(dsn: str) -> set[object]:
    return {digest for (digest,) in rows(dsn, "SELECT digest FROM served_instances")}


def open_of(reason: str) -> float | None:
    return REGISTRY.get_sample_value("radstream_quarantine_open", {"reason": reason})


def test_what_was_released_is_served_and_what_was_rejected_is_not(dsn: str) -> None:
    hospital = Hospital()
    events = list(judged_by_people(hospital))
    kept(dsn, hospital, *events)
    released, rejected, mended, doubted, waiting = [one for one in events if isinstance(one, InstanceReceived)]

    assert served(dsn) == {released.instance.digest, mended.instance.digest}
    found = whole(dsn, released)
    assert (found.counts.served, found.counts.valid, found.counts.quarantined) == (2, 2, 3)
    assert found.verdicts == Verdicts(
        accepted=0, accepted_with_findings=2, quarantined=3, held={"truncated": 1}, rejected=2
    )
    assert {one["digest"]: one["decision"] for one in found.quarantined} == {
        rejected.instance.digest: "rejected",
        doubted.instance.digest: "rejected",
        waiting.instance.digest: None,
    }
    assert [(one["rule"], one["severity"], one["instances"]) for one in found.findings] == [
        ("released_by_hand", "error", 2)
    ]
    with snapshot(dsn) as cursor:
        there = present(cursor, TENANT, released.instance.study_uid, [])
        assert undecided(cursor) == {"truncated": 1}
        now = standing(cursor, TENANT, doubted.instance.digest)
    assert there[released.instance.sop_instance_uid].verdict == "validated"
    assert there[rejected.instance.sop_instance_uid].verdict == "quarantined"
    assert (now.verdict, now.decision, now.decision_by) == ("quarantined", "rejected", "night.shift")


def test_a_release_that_validation_has_not_come_to_is_still_held(dsn: str) -> None:
    hospital = Hospital()
    (image,) = hospital.study("P1", "DOE", series=1, images=1)
    command = decided(hospital, image)
    log = new_log()
    write(log, [image, hospital.quarantined(image), command])
    projected(dsn, log, hospital)
    assert served(dsn) == set()
    assert whole(dsn, image).verdicts.held == {"truncated": 1}
    write(log, [let_go(hospital, image)])
    projected(dsn, log, hospital)
    assert served(dsn) == {image.instance.digest}
    with snapshot(dsn) as cursor:
        assert standing(cursor, TENANT, image.instance.digest).verdict == "accepted_with_findings"


def test_who_released_a_file_that_was_cut_off_has_not_said_that_it_is_of_this_patient(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    (image,) = hospital.study("P1", "DOE", series=1, images=1)
    write(log, [image, hospital.quarantined(image), decided(hospital, image), let_go(hospital, image)])
    projected(dsn, log, hospital)
    assert served(dsn) == {image.instance.digest}
    write(log, [assessed_as_strange(hospital, image)])
    projected(dsn, log, hospital)
    assert served(dsn) == set()
    with snapshot(dsn) as cursor:
        assert undecided(cursor) == {"contradicts_patient": 1}
        assert standing(cursor, TENANT, image.instance.digest).verdict == "quarantined"
    write(log, [decided(hospital, image, "released", 1, "contradicts_patient")])
    projected(dsn, log, hospital)
    assert served(dsn) == {image.instance.digest}
    with snapshot(dsn) as cursor:
        assert undecided(cursor) == {}


def test_the_reason_is_kept_and_a_decision_that_was_read_twice_is_one(dsn: str) -> None:
    hospital = Hospital()
    (image,) = hospital.study("P1", "DOE", series=1, images=1)
    command = decided(hospital, image)
    log = new_log()
    write(log, [image, hospital.quarantined(image), command, command])
    projected(dsn, log, hospital)
    assert rows(dsn, "SELECT action, actor, why_state::text, why FROM quarantine_commands") == [
        ("released", "night.shift", "open", "the rest is with Mrs Doe")
    ]
    before = checksum_of(dsn)
    write(log, [decided(hospital, image, "rejected", 1)])
    projected(dsn, log, hospital)
    assert checksum_of(dsn).differing(before) == ["quarantine_commands", "quarantine_decisions"]


def test_verdicts_and_findings_are_asked_for_by_rule_modality_and_study(dsn: str) -> None:
    hospital = Hospital()
    one, two = (hospital.study(f"P{number}", "DOE", series=1, images=2) for number in (1, 2))
    kept(
        dsn,
        hospital,
        *(*one, *two),
        hospital.validated(one[0], findings=2),
        hospital.validated(one[1]),
        hospital.validated(two[0], findings=1),
    )
    with snapshot(dsn) as cursor:
        assert verdicts(cursor, TENANT, one[0].instance.study_uid) == Verdicts(1, 1, 0, {}, 0)
        found = {rule.rule: rule for rule in broken_rules(cursor, TENANT)}
        assert (found["rule-0"].instances, found["rule-0"].studies, found["rule-0"].modality) == (2, 2, "CT")
        assert (found["rule-1"].instances, found["rule-1"].severity) == (1, "warning")
        assert [rule.instances for rule in broken_rules(cursor, TENANT, study_uid=two[0].instance.study_uid)] == [1]
        for nothing in ({"modality": "US"}, {"rule": "rule-7"}, {"severity": "error"}):
            assert broken_rules(cursor, TENANT, **nothing) == []
        assert [rule["rule"] for rule in findings_of(cursor, TENANT, one[0].instance.digest)] == ["rule-0", "rule-1"]


@pytest.mark.parametrize("action", ["released", "rejected"])
def test_what_waits_for_a_person_is_a_metric_by_reason_until_they_have_decided(dsn: str, action: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE", series=1, images=2)
    for image in images:
        write(log, [image, hospital.quarantined(image, code=f"{action}-test")])
    projected(dsn, log, hospital)
    seen = show(dsn, set())
    assert open_of(f"{action}-test") == 2
    for image in images:
        write(log, [decided(hospital, image, "released" if action == "released" else "rejected")])
        write(log, [let_go(hospital, image)] if action == "released" else [])
    projected(dsn, log, hospital)
    show(dsn, seen)
    assert open_of(f"{action}-test") == 0


def test_who_decides_on_a_study_waits_until_all_of_it_is_shown_and_is_told_how_far_it_is(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE", series=1, images=3)
    commands = [decided(hospital, image) for image in images]
    for image in images:
        write(log, [image, hospital.quarantined(image)])
    write(log, [*commands, *(let_go(hospital, image) for image in images[:2])])
    projected(dsn, log, hospital)
    (tmp_path / "radstream.toml").write_text(f'[catalog]\nhttp_port = 1\ndsn = "{dsn}"\n')
    config = load(tmp_path / "radstream.toml")
    monkeypatch.setattr(quarantine_waiting, "SHOWN_S_MAX", 0.5)

    told: list[tuple[str, int, int]] = []
    with pytest.raises(Failure, match=r"3 images are released: .* The catalog shows 2 of them"):
        quarantine_waiting.wait(config, commands, lambda *said: told.append(said))
    assert told == [("shown", 2, 3)]

    write(log, [let_go(hospital, images[2])])
    projected(dsn, log, hospital)
    quarantine_waiting.wait(config, commands, lambda *said: told.append(said))
    assert told[-1] == ("shown", 3, 3)
