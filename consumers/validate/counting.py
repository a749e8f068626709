"""Verdicts and findings as metrics: by rule and by modality, never by what names an image."""

from __future__ import annotations

from collections.abc import Sequence

from streams import metrics
from streams.events import Finding
from streams.lagging.sampling import term


def count_accepted(findings: Sequence[Finding], modality: str | None) -> None:
    verdict = "accepted_with_findings" if findings else "accepted"
    metrics.VERDICTS.labels(verdict, term(modality)).inc()
    for rule in {finding.rule for finding in findings}:
        metrics.FINDINGS.labels(rule, term(modality)).inc()


def count_held(code: str, modality: str | None) -> None:
    metrics.VERDICTS.labels("quarantined", term(modality)).inc()
    metrics.HELD.labels(code, term(modality)).inc()
