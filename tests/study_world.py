"""A study in a memory store, what people decide on its images, and what is said of its revisions."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from msgspec import structs
from pydicom.dataset import Dataset

from consumers.validate.levels import Levels
from consumers.validate.study.decided import Decisions
from consumers.validate.study.step import Assess
from radstream.phantom import chest_ct
from streams.clock import Clock, SystemClock
from streams.events import Event, InstanceQuarantined, StudyAssessed, StudyRevision
from streams.held import CONTRADICTS
from streams.step import Done, Input
from tests import held_images
from tests.ai_world import WHEN, World
from tests.received import identity


def section_series(count: int = 8) -> list[Dataset]:
    """An axial series of a phantom, in the order of its places."""
    return copy.deepcopy(_made(count))


@functools.cache
def _made(count: int) -> list[Dataset]:
    images = [one for one in chest_ct(3, (2, count, 3), 16) if one.SeriesNumber == 2]
    for image in images:
        image.AccessionNumber, image.PatientBirthDate, image.PatientSex = "A1", "19600101", "O"
    return images


@dataclass
class Studies(World):
    """A study in a memory store, and the assessment of its revisions."""

    instances_max: int = 100
    levels: Levels = field(default_factory=Levels)
    last: list[Event] = field(default_factory=list)

    def assess(self, item: Input[StudyRevision]) -> StudyAssessed:
        outcome = assess_of(self)(item, SystemClock())
        assert isinstance(outcome, Done), outcome
        self.last = list(outcome.events(()))
        (assessed,) = [event for event in self.last if isinstance(event, StudyAssessed)]
        return assessed

    @property
    def held(self) -> list[InstanceQuarantined]:
        return [event for event in self.last if isinstance(event, InstanceQuarantined)]

    def decide(
        self,
        images: Sequence[Dataset],
        action: Literal["released", "rejected"],
        code: str = CONTRADICTS,
        at: datetime = WHEN,
    ) -> None:
        """A person's word on each of these images."""
        for image in images:
            command = held_images.decision(self.validated(image).event, action, code)
            held_images.write(self.log, structs.replace(command, meta=structs.replace(command.meta, occurred_at=at)))


def assess_of(world: Studies, clock: Clock | None = None) -> Assess:
    decisions = Decisions(world.log, clock or SystemClock())
    return Assess(identity("assess"), world.store, world.log, decisions, world.instances_max, world.levels)


def assessed(datasets: Sequence[Dataset]) -> tuple[Studies, StudyAssessed]:
    world = Studies()
    return world, world.assess(world.revision(world.add(datasets)))


def found(datasets: Sequence[Dataset]) -> list[str]:
    return [one.rule for one in assessed(datasets)[1].findings]


def of_patient(images: Sequence[Dataset], **attributes: str) -> None:
    for image in images:
        for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "IssuerOfPatientID"):
            setattr(image, name, attributes.get(name, ""))


ANN = {"PatientID": "P1", "PatientName": "Roe^Ann", "PatientBirthDate": "19600101", "PatientSex": "F"}
BOB = {"PatientID": "P2", "PatientName": "Doe^Bob", "PatientBirthDate": "19700101", "PatientSex": "M"}
