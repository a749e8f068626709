"""A report as Markdown: read on a terminal, pasted into README.md."""

from __future__ import annotations

from bench.machine import Machine
from bench.pipeline import Report
from radstream.quantiles import Latency


def figures(report: Report) -> str:
    return "\n".join(
        (
            f"{report.at:%Y-%m-%d}: {on_machine(report.machine)}. {report.instances} CT images of 512×512, 16-bit, "
            f"{report.sent_bytes / 1e6:.0f} MB, over {report.associations} associations.",
            "",
            *table(("What", "Figure"), _results(report)),
            "",
            *table(("Process", "CPU, ms for each image", "Memory (PSS), highest, MiB"), _processes(report)),
        )
    )


def on_machine(on: Machine) -> str:
    return (
        f"{on.cores} cores ({on.processor}), {on.memory_bytes / (1 << 30):.0f} GiB, {on.kernel}, {on.filesystem}, "
        f"Python {on.python}"
    )


def _results(report: Report) -> list[tuple[str, ...]]:
    return [
        ("Images per second, first C-STORE to last catalog row with its copy", f"{report.instances_per_s:.1f}"),
        ("Seconds for all; of them sending", f"{report.seconds:.1f}; {report.sending_s:.1f}"),
        ("CPU for each image, everything on this machine", f"{report.cpu_ms_per_instance:.1f} ms"),
        ("C-STORE, p50 and p99", _times(report.c_store)),
        ("C-STORE to catalog row, p50 and p99", _times(report.c_store_to_catalog)),
        ("Lossless copies, share of the bytes sent", f"{100 * report.lossless_bytes / report.sent_bytes:.1f} %"),
    ]


def _processes(report: Report) -> list[tuple[str, ...]]:
    memory = report.memory_bytes_by_process
    rows = sorted(report.cpu_ms_by_process.items(), key=lambda row: -row[1])
    return [(name, f"{cpu:.2f}", f"{memory[name] / (1 << 20):.0f}") for name, cpu in rows]


def _times(found: Latency) -> str:
    return f"{found.p50:.1f} ms, {found.p99:.1f} ms"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    rule = ("---", *("---:" for _ in head[1:]))
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]
