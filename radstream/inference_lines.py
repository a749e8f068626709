"""Results in words, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from consumers.catalog.inference import FoundThing, Result, Review
from radstream.output import console, plain


def print_results(results: Sequence[Result]) -> None:
    """A line for each result, its findings below it, and beside each what a person said last."""
    out = console()
    for one in results:
        out.print(_head(one), soft_wrap=True)
        out.print(f"  id {one.event_id}", soft_wrap=True)
        for finding in one.findings:
            out.print(f"  {_finding(finding)}", soft_wrap=True)
            out.print(f"    id {finding.finding_id}{_said(finding.review)}", soft_wrap=True)


def _head(one: Result) -> str:
    model = f"{one.step.removeprefix('ai.')} ({one.model_name} {one.model_version}, {one.backend})"
    about = f"series {one.series_uid}" if one.series_uid else f"revision {one.revision}"
    if one.outcome == "analysed":
        told = f"{len(one.findings)} findings, preliminary" if one.findings else "no finding, preliminary"
    else:
        told = f"{one.outcome.replace('_', ' ')}: {one.code}. {one.detail}"
    return plain(f"result of {model}, {about}: {told}{_said(one.review)}")


def _finding(finding: FoundThing) -> str:
    where = f" in {finding.location}" if finding.location else ""
    sure = f", confidence {finding.confidence:.2f}" if finding.confidence is not None else ""
    numbers = "".join(f", {_number(one)}" for one in finding.measurements)
    return plain(f"{finding.meaning}{where}{numbers}{sure}, severity {finding.severity}")


def _number(measurement: Any) -> str:
    return f"{measurement['code']['meaning']} {measurement['value']:g} {measurement['unit']['value']}"


def _said(review: Review | None) -> str:
    if review is None:
        return ""
    note = ""
    if review.note_state is not None:
        note = f": {review.note}" if review.note is not None else f" (note {review.note_state})"
    return plain(f"; {review.verdict} by {review.reviewer}, {review.reviewed_at:%Y-%m-%d %H:%M}{note}")
