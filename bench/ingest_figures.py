"""The report of `bench ingest` as Markdown of at most 120 columns: read on a terminal, pasted into README.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.figures import on_machine, table
from bench.ingest_report import Measured, Report

_HEAD = ("Receiver", "per s", "MB/s", "p50 ms", "p99 ms", "CPU", "sender", "MiB", "held", "x rate", "x CPU")


def figures(report: Report) -> str:
    return "\n".join((*_on_what(report), *_receivers(report), *_cases(report)))


def _on_what(report: Report) -> Iterator[str]:
    yield f"{report.at:%Y-%m-%d}: {on_machine(report.machine)}."
    sizes = ", ".join(f"{kind.upper()} {size / 1e6:.2f} MB" for kind, size in report.image_bytes.items())
    yield (
        f"{report.instances} instances in a CT case, {report.seconds_max:.0f} s at most; {sizes}. "
        f"Rounds: {report.rounds}. Load average at the start: {report.load_average:.1f}."
    )
    yield "CPU, sender: CPU seconds for each 1,000 instances. MiB: highest PSS. Held: of what was acknowledged."
    yield f"x rate, x CPU: times those of {report.reference}."
    if report.profiled:
        yield "Profiled: our receivers were slower than they are."
    if report.durable is False:
        yield "The stack's store lies on a file system that does not keep what it acknowledges."
    yield ""


def _receivers(report: Report) -> Iterator[str]:
    names = [*(one.name for one in report.receivers), *(one.name for one in report.absent)]
    width = max(map(len, names), default=0)
    for one in report.receivers:
        yield f"- {one.name:{width}}  {one.version}: {one.what}"
    for missing in report.absent:
        yield f"- {missing.name:{width}}  absent: {missing.why}; {missing.install}"
    for line in report.not_measured:
        yield f"- not measured: {line}"


def _cases(report: Report) -> Iterator[str]:
    for case in dict.fromkeys(one.case for one in report.measured):
        rows = [one for one in report.measured if one.case == case]
        yield from ("", f"**{case}**", "")
        head, *lines = _aligned([_HEAD, *(_row(one) for one in rows)])
        yield from table(head, lines)
        for one in rows:
            yield from _remarks(one)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The same with every cell as wide as its column, the first one's to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        (row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)))
        for row in rows
    ]


def _row(one: Measured) -> tuple[str, ...]:
    times = one.c_store
    return (
        one.receiver,
        f"{one.instances_per_s:.0f}",
        f"{one.mb_per_s:.0f}",
        f"{times.p50:.2f}" if times else "-",
        f"{times.p99:.2f}" if times else "-",
        f"{one.cpu_s_per_1000:.2f}",
        f"{one.sender_cpu_s_per_1000:.2f}",
        f"{one.memory_bytes_max / (1 << 20):.0f}",
        f"{one.held}/{one.acknowledged}",
        f"{one.rate_to_reference:.2f}" if one.rate_to_reference is not None else "-",
        f"{one.cpu_to_reference:.2f}" if one.cpu_to_reference is not None else "-",
    )


def _remarks(one: Measured) -> Iterator[str]:
    """Below a table, each a paragraph of its own: what a column cannot say."""
    if one.missing:
        yield from ("", f"{one.receiver}: **{one.missing} acknowledged and not there.**")
    if one.failures:
        counted = ", ".join(f"{count} {why}" for why, count in one.failures.items())
        yield from ("", f"{one.receiver}, failures: {counted}.")
    if one.beside_cpu_s_per_1000:
        counted = ", ".join(f"{part} {cpu:.2f}" for part, cpu in one.beside_cpu_s_per_1000.items())
        yield from ("", f"{one.receiver} stands on these, CPU: {counted}.")
