"""`radstream validate`: what the validate step would say of files, without sending them and without a stack."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

import click
import msgspec
from click.core import ParameterSource
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consumers.validate.config import Limits, Settings
from consumers.validate.levels_reading import of_site
from radstream.options import config_option, json_option, open_config
from radstream.output import console, plain, print_table, show
from radstream.validating import FileVerdict, Judge, judge_path, judged_files, listed
from streams.config import Site

_SEVERITIES: Final = ("info", "warning", "error")
_JOBS_MAX: Final = 16


class RuleCount(msgspec.Struct, frozen=True, kw_only=True):
    """`files` that break the rule, and how often in all."""

    rule: str
    severity: str
    section: str | None
    text: str
    files: int
    findings: int


class Validated(msgspec.Struct, frozen=True, kw_only=True):
    """`verdicts` counts files by verdict, `held` those quarantined by the code that says why."""

    files: tuple[FileVerdict, ...]
    verdicts: dict[str, int]
    held: dict[str, int]
    rules: tuple[RuleCount, ...]


@click.command()
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="FILE_OR_FOLDER..."
)
@click.option(
    "--fail-on",
    type=click.Choice(("error", "warning", "never")),
    default="error",
    show_default=True,
    help="Exit with 1 where a finding is at least so severe.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, _JOBS_MAX),
    default=min(os.cpu_count() or 1, _JOBS_MAX),
    help="Processes at a time; as many as there are processors where not given.",
)
@click.option("--calling-ae", metavar="TITLE", help="Who would send them: what the site's rules say of it holds.")
@config_option
@json_option
def validate(
    paths: tuple[Path, ...], fail_on: str, jobs: int, calling_ae: str | None, config_path: Path, as_json: bool
) -> None:
    """Say of files what the validate step would: accepted, with findings, or quarantined.

    Nothing is sent, and no part of the stack is needed. Findings name rules and places, never values. Limits of size
    and depth, and how much each rule matters (`rules` in section [validate]), are those of the configuration, where
    there is one.

    Exit code: 0 where every file is accepted and no finding reaches --fail-on; 1 where a file is quarantined, cannot be
    read or has such a finding; 2 where the command cannot be understood.
    """
    limits, judge = _as_here(config_path, calling_ae)
    found, unread = listed(paths)
    verdicts = list(unread)
    bar = Progress(
        TextColumn("validating"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=len(found))
        for verdict in judged_files(found, limits, jobs, judge=judge):
            verdicts.append(verdict)
            bar.advance(task)
    summed = summed_up(verdicts)
    show(as_json, summed, lambda: _print(summed))
    sys.exit(1 if fails(summed, fail_on) else 0)


def _as_here(path: Path, calling_ae: str | None) -> tuple[Limits, Judge]:
    """As the configuration has it; without one, which is no fault here unless it was named, the defaults.

    Raises ConfigError.
    """
    named = click.get_current_context().get_parameter_source("config_path") is not ParameterSource.DEFAULT
    if not named and not path.exists():
        return Limits(), judge_path
    config = open_config(path)
    settings = config.section("validate", Settings)
    if settings.rules is None:
        return settings.limits, judge_path
    levels, site = of_site(settings.rules), config.section("site", Site).site
    return settings.limits, partial(judge_path, levels=levels, site=site, calling_ae=calling_ae)


def summed_up(verdicts: Iterable[FileVerdict]) -> Validated:
    files = tuple(sorted(verdicts, key=lambda one: one.file))
    counts = Counter(finding.rule for one in files for finding in one.findings)
    in_files = Counter(rule for one in files for rule in {finding.rule for finding in one.findings})
    said = {finding.rule: finding for one in files for finding in one.findings}
    order = sorted(said, key=lambda rule: (-_SEVERITIES.index(said[rule].severity), -in_files[rule], rule))
    return Validated(
        files=files,
        verdicts=dict(Counter(one.verdict for one in files)),
        held=dict(Counter(one.code for one in files if one.verdict == "quarantined" and one.code)),
        rules=tuple(
            RuleCount(
                rule=rule,
                severity=said[rule].severity,
                section=said[rule].section,
                text=said[rule].text,
                files=in_files[rule],
                findings=counts[rule],
            )
            for rule in order
        ),
    )


def fails(summed: Validated, fail_on: str) -> bool:
    """Whether the exit code is 1."""
    if any(one.verdict in ("quarantined", "not read") for one in summed.files):
        return True
    if fail_on == "never":
        return False
    grave = _SEVERITIES[_SEVERITIES.index(fail_on) :]
    return any(rule.severity in grave for rule in summed.rules)


def _print(summed: Validated) -> None:
    out = console()
    for one in summed.files:
        why = f" ({one.code}): {plain(one.detail)}" if one.code else ""
        out.print(f"{plain(one.file)}: {one.verdict}{why}", soft_wrap=True)
        for finding in one.findings:
            where = ", ".join(part for part in (finding.tag, finding.section) if part)
            out.print(
                f"  {finding.severity:7}  {finding.text}  [{finding.rule}{f'; {where}' if where else ''}]",
                soft_wrap=True,
            )
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(summed.verdicts.items()))
    out.print(f"{len(summed.files)} files: {counts or 'none'}")
    if summed.rules:
        print_table(
            "rules broken",
            ("severity", "rule", "files", "findings", "section"),
            [(one.severity, one.rule, one.files, one.findings, one.section) for one in summed.rules],
            numbers=("files", "findings"),
        )
