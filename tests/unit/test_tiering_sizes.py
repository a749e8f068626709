"""The largest decision fits into its topic, and what is known of a study costs what the decision record says."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime

from consumers.tiering.study import INSTANCES_MAX, Study, decide, know
from schemas import load_topics
from streams.events import SUBJECTS, Meta, Provenance, StudyRevision, TierCopy, TierItem, TierMoved
from streams.sizes import DECISION_BYTES_MAX, size_of
from streams.wire import SchemaIds, encode
from tests.tiering_world import new_world, study_uid

NOW = datetime(2026, 1, 1, tzinfo=UTC)
# S3's version ids have 32 characters, versitygw's 26.
VERSION = "v" * 32


def of_study(uid: str, items: tuple[TierItem, ...]) -> TierMoved:
    return TierMoved(
        meta=Meta(event_id="0" * 36, tenant="t", site="s", lane="routine", subject=f"{uid}/1", occurred_at=NOW),
        provenance=Provenance(step="tiering", build="0", generation=0, config_digest="0" * 64),
        study_uid=uid,
        seq=1,
        move=1,
        phase="verified",
        why="age",
        target="backup",
        serving="hot",
        items=items,
        covers={"0" * 22: 0},
        decided_for=NOW,
    )


def test_the_largest_study_fits_into_a_record() -> None:
    item = TierItem(
        series_uid="1" * 64,
        sop_instance_uid="1" * 64,
        digest="0" * 64,
        size=1 << 40,
        copies=tuple(TierCopy(store=name, verified=True, version_id=VERSION) for name in ("hot", "warm", "backup")),
    )
    size = size_of(encode(of_study("1" * 64, (item,) * INSTANCES_MAX), SchemaIds(), source="test"))
    assert 2_000_000 < size < DECISION_BYTES_MAX
    topic = load_topics().topics[SUBJECTS[TierMoved]]
    assert int(topic.config["max.message.bytes"]) > DECISION_BYTES_MAX + 100_000


def test_memory_of_a_study_is_as_the_decision_record_says() -> None:
    world = new_world()
    world.receive(1, 0)
    (revision,) = world.events(StudyRevision)
    count = 2000
    item = TierItem(
        series_uid="1",
        sop_instance_uid="1",
        digest="0",
        size=1,
        copies=(TierCopy(store="hot", verified=True), TierCopy(store="backup", verified=True)),
    )
    moved = of_study(study_uid(1), (item,))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    known = {}
    for number in range(count):
        known[f"hospital|{study_uid(number)}{number:050}"] = study = Study()
        know(study, revision, number + 1000)
        decide(study, moved, number + 1000, "0" * 22)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 300 < (after - before) / count < 1000, (after - before) / count
