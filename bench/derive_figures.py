"""The report of `bench derive` as Markdown: read on a terminal, pasted into README.md."""

from __future__ import annotations

from collections.abc import Iterator

from bench.derive_images import CASES
from bench.derive_report import Measured, Report
from bench.figures import on_machine, table

_HEAD = ("Contender", "Objects per minute and core", "CPU, ms an object", "MB/s", "By the clock, ms", "Ratio", "Proven")


def figures(report: Report) -> str:
    return "\n".join((*_on_what(report), *_cases(report)))


def _on_what(report: Report) -> Iterator[str]:
    yield f"{report.at:%Y-%m-%d}: {on_machine(report.machine)}."
    yield f"{report.seconds} s for each; load average at the start: {report.load_average:.1f}."
    yield ""
    for one in report.contenders:
        yield f"- {one.name}: {one.what}; {one.version}"
    for missing in report.absent:
        yield f"- {missing.name}: absent ({missing.why}); {missing.install}"


def _cases(report: Report) -> Iterator[str]:
    for case, size in report.file_bytes.items():
        rows = [one for one in report.measured if one.case == case]
        yield from ("", f"**{CASES[case].what}**, {size / 1e6:.1f} MB", "")
        yield from table(_HEAD, [_row(one) for one in rows])
        if aim := report.aims.get(case):
            yield from ("", _against_aim(aim, rows))


def _against_aim(aim: int, rows: list[Measured]) -> str:
    reached = [one.contender for one in rows if one.proven and one.objects_per_minute_and_core >= aim]
    by = f"reached by {', '.join(reached)}" if reached else "not reached"
    return f"Aim: {aim:,} a minute on one core; {by}."


def _row(one: Measured) -> tuple[str, ...]:
    return (
        one.contender,
        f"{one.objects_per_minute_and_core:,.0f}",
        f"{one.cpu_ms_per_object:.2f}",
        f"{one.mb_per_s_of_cpu:.0f}",
        f"{one.wall_ms_per_object:.2f}",
        "-" if one.ratio is None else f"{one.ratio:.2f}",
        "yes" if one.proven else "no",
    )
