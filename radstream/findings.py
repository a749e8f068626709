"""`radstream findings`: which rules are broken, in how many images of which modality. No patient is named by it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from consumers.catalog.quarantine import FINDINGS_MAX, BrokenRule, broken_rules
from radstream.options import Moment, config_option, json_option, open_config
from radstream.output import plain, print_table, show
from radstream.reading import catalog_snapshot
from streams.config import Site


@click.command()
@click.option("--rule", metavar="NAME", help="Only this rule.")
@click.option("--severity", type=click.Choice(("error", "warning", "info")), help="Only rules of this severity.")
@click.option("--modality", metavar="CODE", help="Only images of this modality.")
@click.option("--study", "study_uid", metavar="UID", help="Only images of this study.")
@click.option("--since", type=Moment(), help="Only verdicts from then on.")
@config_option
@json_option
def findings(
    rule: str | None,
    severity: str | None,
    modality: str | None,
    study_uid: str | None,
    since: datetime | None,
    config_path: Path,
    as_json: bool,
) -> None:
    """Which rules are broken, in how many images of which modality.

    The worst first.
    """
    config = open_config(config_path)
    with catalog_snapshot(config) as cursor:
        found = broken_rules(
            cursor,
            config.section("site", Site).tenant,
            rule=rule,
            severity=severity,
            modality=modality,
            study_uid=study_uid,
            since=since,
        )
    show(as_json, found, lambda: _print(found))


def _print(found: Sequence[BrokenRule]) -> None:
    if not found:
        click.echo("no findings")
        return
    numbers = ("instances", "studies")
    rows = [
        (one.rule, one.severity, plain(one.modality) or None, one.instances, one.studies, one.section, one.text)
        for one in found
    ]
    print_table("Findings", ("rule", "severity", "modality", *numbers, "section", "text"), rows, numbers=numbers)
    if len(found) == FINDINGS_MAX:
        click.echo(f"there are more than {FINDINGS_MAX}: ask for one --rule, --modality or --study", err=True)
