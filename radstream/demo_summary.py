"""What the demo ends with: this run, and what the archive holds after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from radstream.accounts import Equation
from radstream.demo_whole import Whole, rows_of
from radstream.log_census import LogCensus
from radstream.output import console, print_table
from radstream.quantiles import Latency
from radstream.sending import SUCCESS, Sent
from radstream.stack_state import NOT_DURABLE
from radstream.survey import Survey


@dataclass(frozen=True)
class Run:
    """One sending. `c_store_to_catalog` is None where nothing was new."""

    objects: int
    acknowledged: int
    stored: int
    duplicates: int
    refused: Mapping[str, int]
    not_accepted: Mapping[str, int]
    seconds: float
    c_store: Latency | None
    c_store_to_catalog: Latency | None


@dataclass(frozen=True)
class Bytes:
    """`copied` is the size of those originals that have a lossless copy. Originals and copies are both kept."""

    originals: int
    copied: int
    lossless_copies: int
    pictures: int

    @property
    def sentence(self) -> str:
        if not self.copied:
            return "no lossless copies yet"
        share = 100 * (1 - self.lossless_copies / self.copied)
        size = f"{share:.1f} % smaller" if share >= 0 else f"{-share:.1f} % larger"
        more = self.lossless_copies + self.pictures
        return (
            f"lossless copies are {size} than their originals; both are kept, so the archive holds {more:+,} bytes "
            "(nothing is saved until a named decision releases originals)"
        )


@dataclass(frozen=True)
class Archive:
    studies: int
    instances: int
    derived: int
    with_findings: int
    quarantined: Mapping[str, int]
    bytes: Bytes


@dataclass(frozen=True)
class StudyNow:
    uid: str
    revision: int
    instances: int


@dataclass(frozen=True)
class Summary:
    run: Run
    archive: Archive
    study: StudyNow
    whole: Whole
    lag: Mapping[str, int]
    agree: bool
    accounts: tuple[Equation, ...]
    contact_sheet: str
    durable: bool | None


def archive_of(found: Survey) -> Archive:
    log = found.log
    return Archive(
        studies=len(log.studies - {""}),
        instances=len(log.received),
        derived=len(log.derived),
        with_findings=sum(1 for rules in log.findings().values() if rules),
        quarantined=log.quarantine_codes(),
        bytes=_bytes(log),
    )


def _bytes(log: LogCensus) -> Bytes:
    copied = lossless = pictures = 0
    for derivation in log.derivations.values():
        kinds = Counter[str]()
        for copy in derivation.representations:
            kinds[copy.kind] += copy.object.length
        lossless += kinds["lossless"]
        pictures += kinds.total() - kinds["lossless"]
        copied += derivation.source_size if kinds["lossless"] else 0
    return Bytes(log.received_bytes, copied, lossless, pictures)


def refusals(sent: list[Sent]) -> dict[str, int]:
    """By status, of what was answered with another one than 0x0000."""
    return dict(Counter(f"0x{one.status:04X}" for one in sent if one.status not in (None, SUCCESS)))


def not_accepted(sent: list[Sent]) -> dict[str, int]:
    """By reason, of what had no answer."""
    return dict(Counter(one.reason for one in sent if one.status is None))


def print_summary(summary: Summary) -> None:
    run, archive = summary.run, summary.archive
    refused = {**run.refused, **run.not_accepted}
    rows: list[tuple[str, object]] = [
        ("objects sent", f"{run.objects} in {run.seconds:.1f} s"),
        ("  stored, new", run.stored),
        ("  stored before (duplicates)", run.duplicates),
        *((f"  refused: {reason}", count) for reason, count in sorted(refused.items())),
        ("C-STORE, p50 / p99", _times(run.c_store)),
        ("C-STORE to catalog row, p50 / p99", _times(run.c_store_to_catalog)),
        ("archive: studies", archive.studies),
        ("archive: instances", archive.instances),
        ("archive: derived", archive.derived),
        ("archive: accepted with findings", archive.with_findings),
        ("archive: quarantined", sum(archive.quarantined.values())),
        *((f"  {code}", count) for code, count in archive.quarantined.items()),
        ("originals", f"{archive.bytes.originals:,} bytes"),
        ("lossless copies", f"{archive.bytes.lossless_copies:,} bytes, of {archive.bytes.copied:,}"),
        ("pictures", f"{archive.bytes.pictures:,} bytes"),
        ("generated chest CT", f"revision {summary.study.revision}, {summary.study.instances} instances"),
        *rows_of(summary.whole),
        ("lag", ", ".join(f"{group} {lag}" for group, lag in summary.lag.items())),
        ("accounts agree", "yes" if summary.agree else "NO"),
    ]
    print_table("What the pipeline did", ("", ""), rows)
    out = console()
    out.print(archive.bytes.sentence)
    for equation in summary.accounts:
        if not equation.agrees:
            out.print(f"does not agree: {equation}", style="bold red")
    if summary.durable is False:
        out.print(NOT_DURABLE, style="bold red")
    out.print(f"contact sheet: {summary.contact_sheet}", soft_wrap=True)


def _times(found: Latency | None) -> str:
    return f"{found.p50} ms / {found.p99} ms" if found else "-"
