"""What the demo says of results: backends that differ are never called equal."""

from __future__ import annotations

import msgspec
import pytest

from radstream.demo_results import compared, findings_of
from schemas import load_subjects
from streams.events import Geometry, InferenceResult, Measurement, ResultFinding

EXAMPLE = msgspec.convert(load_subjects()["imaging.inference.result"].examples[0], InferenceResult)


def by(backend: str, *findings: ResultFinding) -> InferenceResult:
    model = msgspec.structs.replace(EXAMPLE.model, backend=backend)
    return msgspec.structs.replace(EXAMPLE, model=model, findings=findings)


def grown(finding: ResultFinding, share: float) -> ResultFinding:
    larger = tuple(
        Measurement(code=one.code, value=one.value * (1 + share), unit=one.unit) for one in finding.measurements
    )
    return msgspec.structs.replace(finding, measurements=larger)


def moved(finding: ResultFinding, mm: float) -> ResultFinding:
    assert finding.geometry is not None
    there: Geometry = msgspec.structs.replace(
        finding.geometry, points=tuple(point + mm for point in finding.geometry.points)
    )
    return msgspec.structs.replace(finding, geometry=there)


(FINDING,) = EXAMPLE.findings


@pytest.mark.parametrize(
    ("other", "agree"),
    [
        ((FINDING,), True),
        ((grown(FINDING, 0.005),), True),
        ((grown(FINDING, 0.02),), False),
        ((moved(FINDING, 1.0),), True),
        ((moved(FINDING, 2.0),), False),
        ((), False),
        ((FINDING, FINDING), False),
    ],
)
def test_backends_agree_within_the_tolerance_and_not_beyond(other: tuple[ResultFinding, ...], agree: bool) -> None:
    (pair,) = compared([by("onnxruntime", FINDING), by("triton", *other)])
    assert pair.backends == ("onnxruntime", "triton")
    assert pair.agree is agree


def test_what_other_images_gave_is_not_compared() -> None:
    elsewhere = msgspec.structs.replace(by("triton", FINDING), input_digest="another")
    assert compared([by("onnxruntime", FINDING), elsewhere]) == ()


def test_a_line_shows_what_each_backend_measured() -> None:
    (line,) = findings_of([by("onnxruntime", FINDING), by("triton", grown(FINDING, 0.1))])
    assert "onnxruntime Volume 702.5 mm3" in line
    assert "triton Volume 772.8 mm3" in line
