"""Results of models and reviews of people as a hospital makes them, for tests of what reads the log."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import structs

from schemas import Lane
from streams.events import (
    Code,
    Event,
    Geometry,
    ImageRef,
    InferenceResult,
    InstanceReceived,
    Measurement,
    ModelRef,
    Provenance,
    ResultFinding,
    ResultObject,
    ReviewEvent,
    Timings,
)
from streams.identity import event_id
from streams.revisions.step import set_digest
from tests.event_streams import TENANT, Hospital

Outcome = Literal["analysed", "not_analysed", "out_of_scope", "failed"]

NODULE = Code(scheme="SCT", value="27925004", meaning="Nodule")
LUNG = Code(scheme="SCT", value="39607008", meaning="Lung")
VOLUME = Code(scheme="SCT", value="118565006", meaning="Volume")
MM3 = Code(scheme="UCUM", value="mm3", meaning="cubic millimeter")


def result(
    hospital: Hospital,
    images: Sequence[InstanceReceived],
    *,
    outcome: Outcome = "analysed",
    step: str = "ai.nodule-ct",
    generation: int = 1,
    revision: int = 1,
    whole: bool = False,
    lane: Lane | None = None,
    code: str = "",
) -> InferenceResult:
    """Of the first image's series, or of the revision as a `whole`; an analysis has one finding."""
    of = images[0].instance
    input_digest = set_digest(image.instance.digest for image in images)
    subject = f"{of.study_uid}/{revision}" if whole else f"{of.study_uid}/{of.series_uid}/{input_digest}"
    made = event_id(TENANT, step, subject, 3 if outcome == "failed" else 0, generation)
    meta = structs.replace(hospital.meta(step, subject, lane=lane or images[0].meta.lane), event_id=made)
    return InferenceResult(
        meta=meta,
        provenance=Provenance(step=step, build="0.1.0", generation=generation, config_digest="c" * 64),
        study_uid=of.study_uid,
        input_digest=input_digest,
        input_count=len(images),
        outcome=outcome,
        model=ModelRef(name="nodule-ct", version="1", digest="a" * 64, card_digest="b" * 64, backend="onnxruntime"),
        timings=Timings(waited_ms=1.0, read_ms=2.0, prepared_ms=3.0, inferred_ms=4.0, described_ms=5.0),
        series_uid=None if whole else of.series_uid,
        revision=revision,
        code=code,
        findings=(_finding(made, images),) if outcome == "analysed" else (),
        objects=(ResultObject(kind="sr", instance=of, object=images[0].object),) if outcome == "analysed" else (),
    )


def _finding(made: str, images: Sequence[InstanceReceived]) -> ResultFinding:
    return ResultFinding(
        finding_id=str(uuid.uuid5(uuid.UUID(made), "0")),
        category="detection",
        code=NODULE,
        location=LUNG,
        geometry=Geometry(
            kind="point",
            frame_of_reference_uid="1.2.3",
            points=(1.5, -2.0, 3.25),
            images=(ImageRef(sop_instance_uid=images[0].instance.sop_instance_uid),),
        ),
        measurements=(Measurement(code=VOLUME, value=702.5, unit=MM3),),
        confidence=0.94,
        severity="moderate",
    )


def review(
    hospital: Hospital,
    of: InferenceResult,
    verdict: Literal["confirmed", "rejected", "modified"] = "confirmed",
    *,
    finding: bool = True,
    note: str = "",
) -> ReviewEvent:
    meta = hospital.meta("review", str(hospital.random.getrandbits(64)))
    return ReviewEvent(
        meta=meta,
        provenance=Provenance(step="review", build="0.1.0", generation=0, config_digest=""),
        study_uid=of.study_uid,
        result_event_id=of.meta.event_id,
        verdict=verdict,
        reviewer="radiologist.1",
        finding_id=of.findings[0].finding_id if finding else None,
        note=hospital.blocks.put_note(meta.subject, note) if note else None,
    )


def analysed(hospital: Hospital, images: Sequence[InstanceReceived]) -> Iterator[Event]:
    """Results of two models, one that failed and was redriven, in two lanes and twice; and what people say of them."""
    first = result(hospital, images)
    yield from (first, first)
    failed = result(hospital, images, outcome="failed", step="ai.laa-950", code="model_slow")
    yield from (failed, result(hospital, images, outcome="failed", step="ai.laa-950", code="model_away", lane="bulk"))
    yield result(hospital, images, step="ai.laa-950")
    yield result(hospital, images[:1], outcome="out_of_scope", step="ai.mammo", whole=True, code="no_series_in_scope")
    yield result(hospital, images, generation=2)
    yield review(hospital, first, "rejected", note="seen before, DOE")
    yield review(hospital, first)
    yield review(hospital, first, "rejected", finding=False)
