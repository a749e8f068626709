"""`studies` and `study`: what the catalog knows, with patients' names; so each look is an audit event first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from consumers.catalog.elsewhere import Elsewhere
from consumers.catalog.quarantine import Verdicts
from consumers.catalog.studies import LIMIT_MAX, BadToken, Page, StudyLine, page
from consumers.catalog.study import Study
from consumers.catalog.study import study as read_study
from radstream.errors import Failure
from radstream.hold_lines import hold_line
from radstream.import_lines import identity_lines
from radstream.inference_lines import print_results
from radstream.options import config_option, json_option, open_config, open_log
from radstream.order_lines import order_line, performed_line
from radstream.output import console, plain, print_table, show
from radstream.reading import audited, catalog_snapshot
from streams.config import Site

_MEBI = 1 << 20


@click.command()
@config_option
@json_option
@click.option("--limit", type=click.IntRange(1, LIMIT_MAX), default=50, show_default=True, help="Studies on a page.")
@click.option("--after", metavar="TOKEN", help="The next page, by the token that the last one ended with.")
@click.option("--patient", metavar="ID", help="Only studies of this Patient ID.")
def studies(config_path: Path, as_json: bool, limit: int, after: str | None, patient: str | None) -> None:
    """List studies, the newest first."""
    config = open_config(config_path)
    with catalog_snapshot(config) as cursor:
        try:
            found = page(cursor, config.section("site", Site).tenant, limit=limit, after=after, patient_id=patient)
        except BadToken:
            raise Failure("--after does not name a page; take the token that the last page ended with") from None
    audited(config, open_log(config), "studies_listed", "studies", {"studies": str(len(found.studies))})
    show(as_json, found, lambda: _print_page(found))


def _print_page(found: Page) -> None:
    """Two lines a study: a UID in a column of a table is folded, and then nobody can copy it."""
    out = console()
    for line in found.studies:
        sent = f" ({line.held_sent} sent to others before)" if line.held_sent else ""
        held = f", {line.quarantined} held{sent}" if line.quarantined else ""
        what = f"{line.series} series, {line.instances} images{held}, revision {line.revision or '-'}"
        out.print(f"{line.study_date or 'no date':10}  {' '.join(line.modalities) or '-'}  {what}  {_patient(line)}")
        out.print(f"            {line.study_uid}{_from(line)}", soft_wrap=True)
    if found.next:
        out.print(f"more: radstream studies --after {found.next}", soft_wrap=True)


def _from(line: StudyLine) -> str:
    if line.reconciled:
        return "  (from outside, reconciled)"
    return "  (from outside: radstream imports list)" if line.outside else ""


def _patient(line: StudyLine) -> str:
    if line.block_state != "open":
        return f"(patient attributes {line.block_state or 'absent'})"
    return "  ".join(plain(value) for value in (line.patient_id, line.patient_name) if value) or "(no patient)"


@click.command()
@click.argument("study_uid", metavar="UID")
@config_option
@json_option
def study(study_uid: str, config_path: Path, as_json: bool) -> None:
    """Show one study: patient, series, verdicts, copies, revisions, results."""
    config = open_config(config_path)
    with catalog_snapshot(config) as cursor:
        found = read_study(cursor, config.section("site", Site).tenant, study_uid)
    if found is None:
        raise Failure(
            "the catalog has no study with this UID. A study that was sent just now is there when the catalog has "
            "caught up: radstream lag"
        )
    audited(config, open_log(config), "study_shown", study_uid, {})
    show(as_json, found, lambda: _print_study(found))


def _print_study(found: Study) -> None:
    out, counts = console(), found.counts
    out.print(f"study {found.study_uid}", soft_wrap=True)
    if found.block_state != "open":
        out.print(f"patient: attributes are {found.block_state or 'absent'}")
    for keyword, value in found.patient.items():
        out.print(f"  {keyword}: {plain(value)}")
    for text in identity_lines(found.imported) if found.imported else ():
        out.print(text, soft_wrap=True)
    out.print(
        f"{counts.instances} instances ({counts.bytes_original / _MEBI:.1f} MiB): {counts.served} served, "
        f"{counts.quarantined} quarantined, {counts.duplicates} duplicates"
    )
    for text in (*_verdicts(found.verdicts), *map(_shared, found.elsewhere)):
        out.print(text, soft_wrap=True)
    first, last = (
        at.isoformat(sep=" ", timespec="seconds") for at in (found.first_received_at, found.last_received_at)
    )
    out.print(f"received from {first} to {last}")
    if found.p50_s is not None and found.p99_s is not None:
        out.print(f"from C-STORE to catalog row: p50 {found.p50_s:.3f} s, p99 {found.p99_s:.3f} s")
    out.print(_kept(found), soft_wrap=True)
    for order in found.orders:
        out.print(order_line(order), soft_wrap=True)
    for performed in found.performed:
        out.print(performed_line(performed), soft_wrap=True)
    for hold in found.holds:
        out.print(hold_line(hold), soft_wrap=True)
    _print_rows("Series", found.series)
    _print_rows("Quarantined", found.quarantined)
    _print_rows("Findings", found.findings)
    _print_rows("Findings of the study", [_without_names(one) for one in found.study_findings])
    _print_rows("Copies", found.copies)
    out.print(_saved(found), soft_wrap=True)
    _print_rows("Revisions", found.revisions)
    _print_rows("Forwarded, tagged", [msgspec.structs.asdict(one) for one in found.forwarded])
    if found.held_sent:
        out.print("Held, and sent before: these nodes have images that do not flow here. Tell who looks after them.")
    _print_rows("Held, and sent before", [msgspec.structs.asdict(one) for one in found.held_sent])
    _print_rows(
        "Results made with images that are held by now; they do not stand",
        [msgspec.structs.asdict(one) for one in found.withdrawn],
    )
    print_results(found.results)


def _verdicts(found: Verdicts) -> Iterator[str]:
    """How many images flow, and what is held: a person decides on each of those."""
    yield f"verdicts: {found.accepted} accepted, {found.accepted_with_findings} accepted with findings"
    if found.held:
        reasons = ", ".join(f"{code} {count}" for code, count in found.held.items())
        yield f"{sum(found.held.values())} held: {reasons} (radstream quarantine list, show, release, reject)"
    if found.rejected:
        yield f"{found.rejected} rejected by a person; their bytes are kept"


def _shared(other: Elsewhere) -> str:
    return (
        f"{other.instances} of its SOP Instance UIDs are in study {other.study_uid} as well; {other.shown_there} of "
        "these images are shown there, and not here. Find out which study is right, and reject the images of the "
        "other: radstream quarantine reject --study UID --shared"
    )


def _without_names(finding: dict[str, Any]) -> dict[str, object]:
    """What a line has room for; --json has the rest."""
    return {name: finding[name] for name in ("rule", "severity", "series_uid", "instances", "text")}


def _kept(found: Study) -> str:
    """Where the originals are, and what moves them."""
    stores = ", ".join(f"{kept.copies} in {kept.store} ({kept.verified} verified)" for kept in found.kept)
    last = f"; last read {found.reads.last_at:%Y-%m-%d %H:%M}" if found.reads.last_at else ""
    tier = (
        f"{found.tier.why} to {found.tier.target}: {found.tier.phase}" if found.tier else "not moved or backed up yet"
    )
    return f"originals: {stores}; {tier}{last}"


def _saved(found: Study) -> str:
    kept = found.savings
    return (
        f"bytes saved: {kept.saved:+,}, as originals are kept ({kept.original_copies:,} in all stores); "
        f"{kept.saved_if_released:+,} if they were released"
    )


def _print_rows(title: str, rows: list[dict[str, object]]) -> None:
    if rows:
        print_table(title, tuple(rows[0]), [tuple(map(_cell, row.values())) for row in rows])


def _cell(value: object) -> str | None:
    return None if value is None else plain(value)
