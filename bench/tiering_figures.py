"""A report of tiering as Markdown: read on a terminal, pasted into README.md."""

from __future__ import annotations

from bench.figures import on_machine, table
from bench.tiering import Leg, Report


def figures(report: Report) -> str:
    return "\n".join(
        (
            f"{report.at:%Y-%m-%d}: {on_machine(report.machine)}. {report.objects} CT images of 512×512, 16-bit, "
            f"{report.bytes / 1e6:.0f} MB, in {report.studies} studies; {report.threads} threads.",
            "",
            *table(
                ("Leg", "Objects per second", "MB per second", "CPU for each object"),
                [_row(leg.name, leg) for leg in report.moves]
                + [_row(f"bare loop, {leg.name} ({leg.objects} objects)", leg) for leg in report.bare],
            ),
            "",
            *table(
                ("Tiering as a share of the bare loop", "Objects per second"),
                [(name, f"{100 * ratio:.0f} %") for name, ratio in report.ratio.items()],
            ),
            "",
            *table(("Process", *(f"{leg.name}, CPU ms for each object" for leg in report.moves)), _processes(report)),
        )
    )


def _row(name: str, leg: Leg) -> tuple[str, ...]:
    return name, f"{leg.objects_per_s:.1f}", f"{leg.mb_per_s:.1f}", f"{leg.cpu_ms_per_object:.1f} ms"


def _processes(report: Report) -> list[tuple[str, ...]]:
    names = sorted(report.moves[0].cpu_ms_by_process, key=lambda name: -report.moves[0].cpu_ms_by_process[name])
    return [(name, *(f"{leg.cpu_ms_by_process.get(name, 0.0):.2f}" for leg in report.moves)) for name in names]
