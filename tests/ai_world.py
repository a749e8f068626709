"""A study in a store, its revisions, and a model that looks for bright voxels: what tests of inference stand on."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from consumers.ai.analysis import Analysed, Draft, NotAnalysed, Segment, Times
from consumers.ai.config import Limits
from consumers.ai.images import images_of
from consumers.ai.result import Deployed
from consumers.ai.selection import Selection, Unit
from consumers.ai.step import Inference
from consumers.ai.volume import OutOfScope, Volume
from radstream.phantom import chest_ct
from schemas import Lane
from streams.clock import SystemClock
from streams.events import (
    Code,
    Event,
    Geometry,
    ImageRef,
    InferenceResult,
    Instance,
    InstanceReceived,
    InstanceValidated,
    Measurement,
    Meta,
    ModelRef,
    Provenance,
    StudyRevision,
    Technical,
)
from streams.generation import StepIdentity, of_facts
from streams.held import HeldImages
from streams.identity import derived_key, original_key
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.revisions.step import manifest_of, set_digest, subject
from streams.step import Done, Input, NewObject, Outcome
from streams.wire import Record
from tests import held_images

TENANT = "t"
STORES = ("hot", "cold")
NODULE = Code(scheme="SCT", value="27925004", meaning="Nodule")
ABNORMAL = Code(scheme="SCT", value="49755003", meaning="Morphologically abnormal structure")
LUNG = Code(scheme="SCT", value="39607008", meaning="Lung")
VOLUME = Code(scheme="SCT", value="118565006", meaning="Volume")
MM3 = Code(scheme="UCUM", value="mm3", meaning="cubic millimeter")
WHEN = datetime(2026, 11, 2, tzinfo=UTC)
_OFFSETS = itertools.count()

Answer = Analysed | OutOfScope | NotAnalysed


@dataclass
class Bright:
    """A model of a few lines. `instead` may answer, or raise, in its place; `calls` counts how often it was asked."""

    deployment: str = "bright"
    unit: Unit = "series"
    modalities: tuple[str, ...] = ("CT",)
    instead: Callable[[Volume], Answer | None] = lambda _: None
    calls: int = 0
    code_version: int = 1
    settings: Mapping[str, float] = field(default_factory=dict)

    @property
    def model(self) -> ModelRef:
        return ModelRef(name=self.deployment, version="1", digest="a" * 64, card_digest="b" * 64, backend="code")

    @property
    def selection(self) -> Selection:
        return Selection(unit=self.unit, modalities=self.modalities, images_min=1 if self.unit == "instance" else 3)

    def analyse(self, volume: Volume) -> Answer:
        self.calls += 1
        return self.instead(volume) or self._found(volume)

    def _found(self, volume: Volume) -> Analysed:
        mask = np.zeros(volume.voxels.shape, np.bool_)
        mask[:1, 4:8, 4:8] = True
        corners = [volume.affine @ (*corner, 1) for corner in ((0, 4, 4), (0, 7, 7))]
        geometry = Geometry(
            kind="mask",
            frame_of_reference_uid=volume.frame_of_reference_uid,
            points=tuple(float(value) for corner in corners for value in corner[:3]),
            images=(ImageRef(sop_instance_uid=volume.sop_instance_uids[0]),),
        )
        size = Measurement(code=VOLUME, value=float(mask.sum()) * volume.voxel_mm3, unit=MM3)
        draft = Draft("detection", NODULE, LUNG, geometry, (size,), 0.9, "moderate")
        return Analysed((draft,), Times(1.0, 2.0), Segment("Nodule", ABNORMAL, NODULE, mask))


@dataclass
class World:
    """One study in a memory store, and the step over it."""

    models: Sequence[Bright] = field(default_factory=lambda: [Bright()])
    store: MemoryStore = field(default_factory=MemoryStore)
    log: MemoryLog = field(default_factory=held_images.log_of_holds)
    study_uid: str = ""
    manifests: list[set[str]] = field(default_factory=lambda: [set()])
    removals: dict[str, int] = field(default_factory=dict)

    def add(self, datasets: Sequence[Dataset], store: str = "hot") -> list[str]:
        """Stores images of the study; their digests."""
        return [self._put(dataset, store) for dataset in datasets]

    def _put(self, dataset: Dataset, store: str) -> str:
        out = io.BytesIO()
        dataset.save_as(out, enforce_file_format=True)
        data = out.getvalue()
        digest = hashlib.sha256(data).hexdigest()
        self.study_uid = str(dataset.StudyInstanceUID)
        uids = (self.study_uid, str(dataset.SeriesInstanceUID), str(dataset.SOPInstanceUID))
        self.store.create(NewObject(TENANT, store, original_key(TENANT, *uids, digest), data))
        return digest

    def validated(self, dataset: Dataset) -> Input[InstanceValidated]:
        """Stores one image and says that it was found valid."""
        (digest,) = self.add([dataset])
        (image,) = images_of(self.store, STORES, TENANT, self.study_uid, {digest}).values()
        event = InstanceValidated(
            meta=Meta(event_id=digest, tenant=TENANT, site="s", lane="routine", subject=digest, occurred_at=WHEN),
            provenance=Provenance(step="validate", build="0", generation=1, config_digest=""),
            instance=Instance(
                study_uid=self.study_uid,
                series_uid=image.series_uid,
                sop_instance_uid=image.sop_instance_uid,
                sop_class_uid=str(dataset.SOPClassUID),
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                digest=digest,
            ),
            object=image.ref,
            technical=Technical(modality=str(dataset.Modality)),
        )
        return Input(event, Record("imaging.instance.validated", "topic-id", 0, next(_OFFSETS), 0, None, None))

    def revision(self, digests: Sequence[str], lane: Lane = "routine") -> Input[StudyRevision]:
        """The next one: all that the last one holds, and these."""
        return self._revision(self.manifests[-1] | set(digests), {}, lane)

    def without(self, digests: Sequence[str], *series: str) -> Input[StudyRevision]:
        """The next one: what the last one holds without these, which are of these series."""
        number = len(self.manifests)
        return self._revision(self.manifests[-1] - set(digests), dict.fromkeys(series, number), "routine")

    def _revision(self, inside: set[str], removed: Mapping[str, int], lane: Lane) -> Input[StudyRevision]:
        self.manifests.append(inside)
        self.removals.update(removed)
        held, number = self.manifests[-1], len(self.manifests) - 1
        about = subject(self.study_uid, number)
        event_id = of_facts("revisions").event_id(TENANT, about, 0)
        manifest = self.store.create(NewObject(TENANT, "hot", derived_key(TENANT, event_id), manifest_of(held)))
        event = StudyRevision(
            meta=Meta(event_id=event_id, tenant=TENANT, site="s", lane=lane, subject=about, occurred_at=WHEN),
            provenance=Provenance(step="revisions", build="0", generation=0, config_digest=""),
            study_uid=self.study_uid,
            revision=number,
            instance_count=len(held),
            set_digest=set_digest(held),
            manifest=manifest.ref,
            covers={},
            first_received_at=WHEN,
            last_received_at=WHEN,
            removals=dict(self.removals),
        )
        return Input(event, Record("imaging.study.revision", "topic-id", 0, next(_OFFSETS), 0, None, None))

    def step(self, limits: Limits = Limits()) -> Inference:  # noqa: B008 - it is frozen
        deployed = [Deployed(model, identity_of(model)) for model in self.models]
        return Inference(deployed, self.store, STORES, limits, HeldImages(self.log, SystemClock()))

    def outcome(self, item: Input[Event], limits: Limits = Limits()) -> Outcome:  # noqa: B008 - it is frozen
        (made,) = self.step(limits)([item], SystemClock())
        return made

    def said(self, item: Input[Event]) -> list[Event]:
        """What is emitted where everything is answered."""
        made = self.outcome(item)
        assert isinstance(made, Done), made
        return self.emitted(made)

    def emitted(self, done: Done) -> list[Event]:
        return list(done.events(tuple(self.store.create(new) for new in done.objects)))

    def files(self, events: Sequence[Event]) -> dict[str, Dataset]:
        """The objects that the events announce, by modality."""
        found = [self.store.read(event.object) for event in events if isinstance(event, InstanceReceived)]
        read = [pydicom.dcmread(io.BytesIO(data)) for data in found]
        return {str(dataset.Modality): dataset for dataset in read}


def identity_of(model: Bright, generation: int = 1) -> StepIdentity:
    return StepIdentity(f"ai.{model.deployment}", "0", generation, "c" * 64, (model.model.digest,))


def results(events: Sequence[Event]) -> list[InferenceResult]:
    return [event for event in events if isinstance(event, InferenceResult)]


def chest(seed: int = 5, slices: tuple[int, int, int] = (2, 4, 4), matrix: int = 32) -> list[list[Dataset]]:
    """A localiser and two series of sections, small enough for many tests."""
    by_series: dict[str, list[Dataset]] = {}
    for dataset in chest_ct(seed, slices, matrix):
        by_series.setdefault(str(dataset.SeriesInstanceUID), []).append(dataset)
    return list(by_series.values())
