"""Tier moves, holds and reads as a hospital makes them, for tests of what reads the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec import structs

from streams.events import (
    AccessRead,
    Event,
    HoldCommand,
    InstanceReceived,
    Phase,
    Provenance,
    TierCopy,
    TierItem,
    TierMoved,
)
from tests.event_streams import START, Hospital

PROVENANCE = Provenance(step="tiering", build="0.1.0", generation=0, config_digest="d" * 64)
DAY = timedelta(days=1)


def moved(
    hospital: Hospital,
    images: Sequence[InstanceReceived],
    seq: int,
    phase: Phase,
    stores: Sequence[str],
    *,
    move: int = 1,
    source: str | None = None,
    target: str = "backup",
    serving: str = "hot",
    decided_for: datetime = START,
) -> TierMoved:
    """One phase; afterwards each image has a verified copy in each of `stores`, after `planned` an unverified one."""
    study_uid = images[0].instance.study_uid
    return TierMoved(
        meta=hospital.meta("tiering", f"{study_uid}/{seq}"),
        provenance=PROVENANCE,
        study_uid=study_uid,
        seq=seq,
        move=move,
        phase=phase,
        why="age" if source else "backup",
        source=source,
        target=target,
        serving=serving,
        items=tuple(
            TierItem(
                series_uid=image.instance.series_uid,
                sop_instance_uid=image.instance.sop_instance_uid,
                digest=image.instance.digest,
                size=image.object.size,
                copies=tuple(
                    TierCopy(store=store, version_id=f"{store}-1", verified=phase != "planned") for store in stores
                ),
            )
            for image in images
        ),
        covers={"t": seq},
        decided_for=decided_for,
    )


def backed_up(hospital: Hospital, images: Sequence[InstanceReceived]) -> Iterator[TierMoved]:
    """The first move of every study: a backup. Seq 1 to 3."""
    yield moved(hospital, images, 1, "planned", ["hot"])
    yield moved(hospital, images, 2, "copied", ["hot", "backup"])
    yield moved(hospital, images, 3, "verified", ["hot", "backup"])


def grown_cold(hospital: Hospital, images: Sequence[InstanceReceived], seq: int = 4) -> Iterator[TierMoved]:
    """From hot to warm, five phases from `seq` on."""
    steps: tuple[tuple[Phase, list[str], str], ...] = (
        ("planned", ["hot", "backup"], "hot"),
        ("copied", ["hot", "warm", "backup"], "hot"),
        ("verified", ["hot", "warm", "backup"], "hot"),
        ("switched", ["hot", "warm", "backup"], "warm"),
        ("released", ["warm", "backup"], "warm"),
    )
    for number, (phase, stores, serving) in enumerate(steps, start=seq):
        yield moved(
            hospital,
            images,
            number,
            phase,
            stores,
            move=2,
            source="hot",
            target="warm",
            serving=serving,
            decided_for=START + 31 * DAY,
        )


def hold(
    hospital: Hospital, study_uid: str, name: str, action: Literal["placed", "released"] = "placed", why: str = "a case"
) -> HoldCommand:
    subject = f"{study_uid}/{name}/{action}"
    return HoldCommand(
        meta=hospital.meta("hold", subject),
        provenance=PROVENANCE,
        study_uid=study_uid,
        hold_id=name,
        action=action,
        actor="records.office",
        why=hospital.blocks.put_note(subject, why),
    )


def read(hospital: Hospital, study_uid: str, reads: int = 1, reader: str = "gateway") -> AccessRead:
    meta = hospital.meta("access", str(hospital.random.getrandbits(64)))
    return AccessRead(
        meta=meta,
        provenance=PROVENANCE,
        study_uid=study_uid,
        reads=reads,
        first_at=meta.occurred_at - timedelta(minutes=10),
        last_at=meta.occurred_at,
        reader=reader,
    )


def archived(hospital: Hospital, images: Sequence[InstanceReceived]) -> Iterator[Event]:
    """A study that is backed up and moved, read and held, with zombies' records in between."""
    study_uid = images[0].instance.study_uid
    backup = list(backed_up(hospital, images))
    yield from backup
    yield hold(hospital, study_uid, f"legal-{study_uid[-4:]}", why="NUL\0 AND \ud800")
    yield read(hospital, study_uid, 412)
    yield (twice := read(hospital, study_uid))
    yield twice
    # A zombie that knows less says the third again, of other instances: the first counts.
    yield structs.replace(backup[2], items=backup[2].items[:1], serving="cold")
    yield backup[0]
    for event in grown_cold(hospital, images):
        yield event
        yield event
    yield hold(hospital, study_uid, f"legal-{study_uid[-4:]}", "released", "closed")
    yield hold(hospital, study_uid, f"trial-{study_uid[-4:]}")
