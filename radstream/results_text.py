"""A result or a review as text: the canonical form of docs/results.md, which the clients in `clients/` print too."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal

from streams.events import Code, Geometry, InferenceResult, Measurement, ResultFinding, ReviewEvent

# What moves a terminal's cursor or turns its text around: control signs, line separators, bidirectional overrides.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_DIGITS = 6
# A double has at most 767 significant digits; none of them is rounded twice.
_EXACT = Context(prec=1100, rounding=ROUND_HALF_EVEN)


def text_of(event: InferenceResult | ReviewEvent) -> str:
    """Several lines, the last of them empty."""
    lines = _result(event) if isinstance(event, InferenceResult) else _review(event)
    return "\n".join(_UNSAFE.sub("\N{REPLACEMENT CHARACTER}", line) for line in (*lines, ""))


def number(value: float) -> str:
    """Rounded half to even to six significant digits, but never left of the point; no exponent, no zeros at the end."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    exact = Decimal(value)
    places = max(0, _DIGITS - 1 - exact.adjusted()) if exact else 0
    text = format(exact.quantize(Decimal((0, (1,), -places)), context=_EXACT), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _result(event: InferenceResult) -> Iterator[str]:
    review = " - requires review" if event.requires_review else ""
    yield f"{moment(event.meta.occurred_at)} result {event.meta.event_id} {event.status.upper()}{review}"
    yield f"  study {event.study_uid}"
    if event.series_uid is not None:
        yield f"  series {event.series_uid}"
    if event.sop_instance_uid is not None:
        yield f"  instance {event.sop_instance_uid}"
    if event.revision is not None:
        yield f"  revision {event.revision}"
    yield f"  model {event.model.name} {event.model.version} by {event.model.backend}"
    yield f"  generation {event.provenance.generation}, lane {event.meta.lane}"
    yield f"  outcome {_outcome(event)}"
    if event.detail:
        yield f"  {event.detail}"
    yield from _findings(event.findings)
    for made in event.objects:
        yield f"  {made.kind} {made.instance.sop_instance_uid} in series {made.instance.series_uid}"


def _outcome(event: InferenceResult) -> str:
    said = event.outcome.replace("_", " ")
    because = f", {event.code}" if event.code else ""
    counted = f"; {_count(len(event.findings), 'finding')}" if event.outcome == "analysed" else ""
    return f"{said}{because}: {_count(event.input_count, 'image')}{counted}"


def _count(number_of: int, noun: str) -> str:
    return f"{number_of or 'no'} {noun}{'' if number_of == 1 else 's'}"


def _review(event: ReviewEvent) -> Iterator[str]:
    yield f"{moment(event.meta.occurred_at)} review {event.meta.event_id} {event.verdict} by {event.reviewer}"
    yield f"  study {event.study_uid}"
    yield f"  of result {event.result_event_id}"
    yield f"  of {'the whole result' if event.finding_id is None else f'finding {event.finding_id}'}"
    if event.note is not None:
        yield "  with a note"
    yield from _findings(event.findings)


def _findings(findings: Sequence[ResultFinding]) -> Iterator[str]:
    for finding in findings:
        yield f"  finding {finding.finding_id}"
        yield f"    {finding.category}: {_code(finding.code)}"
        if finding.location is not None:
            yield f"    location {_code(finding.location)}"
        confidence = "" if finding.confidence is None else f", confidence {number(finding.confidence)}"
        yield f"    severity {finding.severity}{confidence}"
        yield from (f"    {_measurement(measured)}" for measured in finding.measurements)
        if finding.geometry is not None:
            yield f"    {_geometry(finding.geometry)}"


def _code(code: Code) -> str:
    return f"{code.meaning} ({code.scheme} {code.value})"


def _measurement(measured: Measurement) -> str:
    return f"{_code(measured.code)} {number(measured.value)} {measured.unit.value}"


def _geometry(geometry: Geometry) -> str:
    points = [", ".join(map(number, geometry.points[at : at + 3])) for at in range(0, len(geometry.points), 3)]
    placed = " to ".join(f"({point})" for point in points)
    return f"{geometry.kind} {placed} mm on {_count(len(geometry.images), 'image')}"
