"""The report of `bench view` as Markdown: read on a terminal, pasted into README.md."""

from __future__ import annotations

from collections.abc import Iterator

from bench.figures import on_machine, table
from bench.view_cases import CASES
from bench.view_report import Measured, Report

_HEAD = ("Server", "Requests", "p50 ms", "p99 ms", "per s", "MB/s", "CPU, ms a request", "x p50", "failed, wrong")


def figures(report: Report) -> str:
    return "\n".join((*_on_what(report), *_cases(report)))


def _on_what(report: Report) -> Iterator[str]:
    yield f"{report.at:%Y-%m-%d}: {on_machine(report.machine)}. Load average at the start: {report.load_average:.1f}."
    yield f"{report.studies + 1:,} studies, a series of {report.slices} CT images of 512×512; `of-many`: with"
    yield f"{report.more_studies:,} studies more in the catalog. x p50: times that of {report.reference}."
    yield ""
    for one in report.contenders:
        yield f"- {one.name}: {one.version}: {one.what}"
    for missing in report.absent:
        yield f"- {missing.name}: absent: {missing.why}; {missing.install}"


def _cases(report: Report) -> Iterator[str]:
    for name in dict.fromkeys(one.case for one in report.measured):
        case = CASES.get(name) or CASES[name.removesuffix("-of-many")]
        aim = f" (aim: p50 under {case.aim_ms:g} ms)" if case.aim_ms else ""
        yield from ("", f"**{name}**: {case.what}{aim}", "")
        yield from table(_HEAD, [_row(one) for one in report.measured if one.case == name])


def _row(one: Measured) -> tuple[str, ...]:
    times = one.answers
    return (
        one.contender,
        f"{one.requests}",
        f"{times.p50:.2f}" if times else "-",
        f"{times.p99:.2f}" if times else "-",
        f"{one.requests / one.seconds:.0f}" if one.seconds else "-",
        f"{one.bytes / one.seconds / 1e6:.0f}" if one.seconds else "-",
        f"{one.cpu_ms_per_request:.2f}",
        f"{one.p50_to_reference:.2f}" if one.p50_to_reference is not None else "-",
        f"{sum(one.failures.values())}, {one.wrong}",
    )
