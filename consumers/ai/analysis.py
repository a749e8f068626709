"""What a deployed model is to the step: a volume in, findings or a reason out. Everything below it is behind this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from consumers.ai.failures import ModelAway, ModelFailed, ModelSlow, OutOfMemory, WrongShape
from consumers.ai.selection import Selection
from consumers.ai.volume import OutOfScope, Volume
from streams.events import Code, Geometry, Measurement, ModelRef, ResultFinding

__all__ = [
    "Analysed",
    "Analysis",
    "Draft",
    "ModelAway",
    "ModelFailed",
    "ModelSlow",
    "NotAnalysed",
    "OutOfMemory",
    "OutOfScope",
    "Segment",
    "Times",
    "WrongShape",
]

Category = Literal["detection", "segmentation", "measurement", "classification", "other"]
Severity = Literal["none", "low", "moderate", "high", "critical"]


@dataclass(frozen=True)
class Draft:
    """A finding that has no id yet. `geometry` is in millimetres of the patient's coordinates."""

    category: Category
    code: Code
    location: Code | None = None
    geometry: Geometry | None = None
    measurements: tuple[Measurement, ...] = ()
    confidence: float | None = None
    severity: Severity = "none"

    def named(self, finding_id: str) -> ResultFinding:
        """The finding as an event carries it."""
        return ResultFinding(
            finding_id=finding_id,
            category=self.category,
            code=self.code,
            location=self.location,
            geometry=self.geometry,
            measurements=self.measurements,
            confidence=self.confidence,
            severity=self.severity,
        )


@dataclass(frozen=True, eq=False)
class Segment:
    """What a SEG holds (PS3.3 section C.8.20.4). `mask` is boolean, shaped like the volume: (slices, rows, columns)."""

    label: str
    category: Code
    kind: Code
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class Times:
    """Milliseconds: `prepared` is preprocessing and postprocessing, `inferred` is in the backend."""

    prepared_ms: float
    inferred_ms: float


@dataclass(frozen=True)
class Analysed:
    """No findings is a statement too."""

    findings: tuple[Draft, ...]
    times: Times
    segment: Segment | None = None


@dataclass(frozen=True)
class NotAnalysed:
    """The volume is in scope, and yet nothing can be said of it. `code` is a stable name; no patient data."""

    code: str
    detail: str


class Analysis(Protocol):
    """One deployed model. Called from several threads at once."""

    @property
    def deployment(self) -> str:
        """Its name in the file of deployments: the step's identity is `ai.<deployment>`."""

    @property
    def model(self) -> ModelRef: ...

    @property
    def selection(self) -> Selection: ...

    @property
    def code_version(self) -> int:
        """Raised by hand when a change of its code changes what comes out."""

    @property
    def settings(self) -> Mapping[str, float]:
        """What is set of it that changes what comes out; part of the identity, with the selection."""

    def analyse(self, volume: Volume) -> Analysed | OutOfScope | NotAnalysed:
        """Raises ModelFailed, which is worth another try."""
