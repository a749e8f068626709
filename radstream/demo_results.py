"""What models said of the generated chest CT: the same network on two backends compared, and its objects checked."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from pathlib import Path

from infra.local.tools import checkers
from radstream.errors import Failure
from radstream.results_reading import ResultReader
from streams.config import Config, Site, Store
from streams.events import InferenceResult, ResultFinding, ResultObject, ReviewEvent
from streams.fetching import read_copy
from streams.log import Log
from streams.mapped import File
from streams.objects import Absent, Damaged, StoreAway
from streams.s3 import S3Store

# Two backends round differently, so a voxel at the edge of a mask may be in one of them alone.
SHARE_MAX = 0.01  # of a measured value
MM_MAX = 1.5  # between the corners of two boxes


@dataclass(frozen=True)
class Said:
    """What is held of one study: each result and review once."""

    results: tuple[InferenceResult, ...]
    reviews: tuple[ReviewEvent, ...]


@dataclass(frozen=True)
class Compared:
    """One network, one series, two backends. `share` is the largest relative difference of a measurement, `mm` the
    largest distance between the corners of two boxes; both 0 where neither found anything.
    """

    model: str
    series_uid: str
    backends: tuple[str, str]
    findings: tuple[int, int]
    share: float
    mm: float

    @property
    def agree(self) -> bool:
        return self.findings[0] == self.findings[1] and self.share <= SHARE_MAX and self.mm <= MM_MAX


@dataclass(frozen=True)
class Checked:
    """One object. `errors` is None where no validator is on this machine."""

    kind: str
    model: str
    errors: int | None


def said_of(log: Log, config: Config, study_uid: str) -> Said:
    """Raises LogAway, and Failure where a record of the topic cannot be read."""

    def unreadable(what: str) -> None:
        raise Failure(f"a result cannot be read: {what}")

    events = ResultReader(log, config.section("site", Site).tenant, None, study_uid, unreadable).round()
    return Said(
        tuple(event for event in events if isinstance(event, InferenceResult)),
        tuple(event for event in events if isinstance(event, ReviewEvent)),
    )


def compared(results: Sequence[InferenceResult]) -> tuple[Compared, ...]:
    """Each pair of backends that ran one model on the same images."""
    analysed = sorted((one for one in results if one.outcome == "analysed"), key=_asked)
    return tuple(
        _pair(one, other)
        for _, same in groupby(analysed, key=_asked)
        for one, other in combinations(sorted(same, key=lambda result: result.model.backend), 2)
        if one.model.backend != other.model.backend
    )


def _asked(result: InferenceResult) -> tuple[str, str, str]:
    return result.model.name, result.series_uid or "", result.input_digest


def _pair(one: InferenceResult, other: InferenceResult) -> Compared:
    pairs = list(zip(_in_place(one), _in_place(other), strict=False))
    shares = [
        abs(a.value - b.value) / max(abs(a.value), abs(b.value), 1e-9)
        for left, right in pairs
        for a, b in zip(left.measurements, right.measurements, strict=False)
    ]
    corners = [abs(a - b) for left, right in pairs for a, b in zip(_points(left), _points(right), strict=False)]
    return Compared(
        model=one.model.name,
        series_uid=one.series_uid or "",
        backends=(one.model.backend, other.model.backend),
        findings=(len(one.findings), len(other.findings)),
        share=round(max(shares, default=0.0), 6),
        mm=round(max(corners, default=0.0), 3),
    )


def _in_place(result: InferenceResult) -> list[ResultFinding]:
    return sorted(result.findings, key=lambda finding: (finding.category, _points(finding)))


def _points(finding: ResultFinding) -> tuple[float, ...]:
    return finding.geometry.points if finding.geometry else ()


def checked(config: Config, results: Sequence[InferenceResult]) -> tuple[Checked, ...]:
    """What dciodvfy says of each SR and SEG, read back from the store. Raises Failure where one cannot be read."""
    store, validator = S3Store(config.section("store", Store)), checkers.find("dciodvfy")
    with tempfile.TemporaryDirectory(prefix="radstream-") as folder:
        return tuple(
            Checked(made.kind, result.model.name, _errors(validator, _read(store, made), Path(folder) / "object.dcm"))
            for result in results
            for made in result.objects
        )


def _read(store: S3Store, made: ResultObject) -> File:
    try:
        return read_copy(store, made.object)
    except (Absent, Damaged, StoreAway) as error:
        raise Failure(f"a {made.kind} cannot be read ({type(error).__name__}); see: radstream status") from None


def _errors(validator: Path | None, data: File, file: Path) -> int | None:
    if validator is None:
        return None
    file.write_bytes(data)
    said = subprocess.run([validator, file], capture_output=True, check=False).stderr.decode(errors="replace")
    return sum(line.startswith("Error") for line in said.splitlines())


def findings_of(results: Sequence[InferenceResult]) -> Iterator[str]:
    """A line for each finding, with what each backend measured of it."""
    for (model, _, _), same in groupby(sorted(results, key=_asked), key=_asked):
        runs = sorted(same, key=lambda result: result.model.backend)
        for finding, *others in zip(*map(_in_place, runs), strict=False):
            said = [_values(one) for one in (finding, *others)]
            by = "; ".join(f"{run.model.backend} {value}" for run, value in zip(runs, said, strict=True))
            yield f"{model}, {finding.code.meaning}: {by}"


def _values(finding: ResultFinding) -> str:
    return ", ".join(f"{one.code.meaning} {one.value:.4g} {one.unit.value}" for one in finding.measurements)
