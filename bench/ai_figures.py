"""The report of inference as Markdown."""

from __future__ import annotations

from bench.ai import Report
from bench.figures import on_machine, table


def figures(report: Report) -> str:
    rows = [
        (
            f"{one.backend} ({one.device})",
            f"{one.bare_images_per_min:.0f}",
            f"{one.consumer_images_per_min:.0f}",
            f"{100 * one.share:.0f} %",
            *(f"{ms:.1f}" for ms in (one.read_ms, one.prepared_ms, one.inferred_ms, one.described_ms)),
        )
        for one in report.contenders
    ]
    head = (
        "Backend",
        "Bare, images/min",
        "Consumer, images/min",
        "Share",
        "Read, ms",
        "Prepared",
        "Inferred",
        "Described",
    )
    return "\n".join(
        (
            f"{report.at:%Y-%m-%d}: {on_machine(report.machine)}, {report.gpu or 'no GPU'}. "
            f"{report.model}, {report.studies} series of {report.images} images of 512×512, {report.threads} threads.",
            "",
            *table(head, rows),
        )
    )
