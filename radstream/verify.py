"""`radstream verify`: whether the archive holds what the chains say."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from radstream.errors import Failure
from radstream.options import Moment, config_option, json_option, open_config, open_log
from radstream.output import console, show
from radstream.reading import parts_answer
from radstream.verifying.finding import Report
from radstream.verifying.verifying import Scope, Told, Verifying
from streams.chains.config import Settings
from streams.chains.keys import Signing, Trusted
from streams.chains.step import NAME
from streams.config import Config, ConfigError, Site, Store
from streams.s3 import S3Store

WRONG, NOT_VERIFIED = 1, 2
ALL = "all"
_SHOWN_MAX = 200
# One within the chains, one for where copies of a study are to be.
_READERS = 2


@click.command(short_help="Check every stored copy against the chains of studies, and their signatures.")
@click.argument("studies", nargs=-1, metavar="[STUDY]...")
@click.option("--all", "everything", is_flag=True, help="Every study.")
@click.option(
    "--since", type=Moment(), metavar="TIME", help="Studies that got an image since; UTC where it does not say."
)
@click.option("--jobs", type=click.IntRange(1, 64), default=4, show_default=True, help="Objects read at once.")
@click.option("--store", default=ALL, show_default=True, help="Copies in this store: hot, warm, cold, backup, or all.")
@click.option("--originals", is_flag=True, help="Leave out thumbnails, previews and other things that were made.")
@click.option(
    "--keys", type=click.Path(path_type=Path, dir_okay=False), help="File of public keys; else [chains] public_file."
)
@click.option("--show-keys", is_flag=True, help="Only print the public keys of this site's key file.")
@config_option
@json_option
def verify(
    studies: tuple[str, ...],
    everything: bool,
    since: datetime | None,
    jobs: int,
    store: str,
    originals: bool,
    keys: Path | None,
    show_keys: bool,
    config_path: Path,
    as_json: bool,
) -> None:
    """Check every stored copy of STUDY (Study Instance UIDs), or of all, against the chains in the log.

    Each link follows the one before it and is under a signed head; each copy in each store is read, whole, in bounded
    memory. What is in no chain yet, and what is held, is checked against its event. What has changed, is lost, was
    exchanged or should be in a chain is said, with the part of the file and with the stores that hold a good copy.
    Nothing is changed.

    Exit code: 0 where all is sound, 1 where something is wrong, 2 where it could not be verified.
    """
    if show_keys:
        click.echo(Signing(open_config(config_path).section(NAME, Settings).key_file).public_text(), nl=False)
        return
    if sum((bool(studies), everything, since is not None)) != 1:
        raise click.UsageError("say what to verify: STUDY..., --all, or --since TIME")
    try:
        config = open_config(config_path)
        scope = Scope(config.section("site", Site).tenant, _stores(config, store), studies, since, not originals)
        report = _verified(config, scope, jobs, keys, shown=not as_json and sys.stderr.isatty())
    except (Failure, ConfigError) as error:
        click.echo(f"radstream: {error}", err=True)
        sys.exit(NOT_VERIFIED)
    show(
        as_json,
        {"sound": report.sound, **{name: getattr(report, name) for name in report.__struct_fields__}},
        lambda: print_report(report),
    )
    if not report.sound:
        sys.exit(WRONG)


def _stores(config: Config, name: str) -> tuple[str, ...]:
    names = tuple(config.section("store", Store).buckets)
    if name not in (ALL, *names):
        raise Failure(f"no store {name}; there are: {', '.join((*names, ALL))}")
    return names if name == ALL else (name,)


def _verified(config: Config, scope: Scope, jobs: int, keys: Path | None, *, shown: bool) -> Report:
    path = keys or config.section(NAME, Settings).public_file
    if path is None:
        raise Failure("no public keys: name their file in [chains] public_file, or give --keys FILE")
    with parts_answer(), _progress(shown=shown) as told:
        store = S3Store(config.section("store", Store))
        log = open_log(config, _READERS)
        report = Verifying(log, store, Trusted(path), scope, jobs, told).report(datetime.now(UTC))
    found = report.studies + report.unlinked + report.held
    if scope.studies and found < len(set(scope.studies)) and report.sound:
        raise Failure(
            "of a study that was named there is neither a chain nor an image; see its UID (radstream studies), and "
            "whether the service chains runs (radstream status)"
        )
    return report


@contextmanager
def _progress(*, shown: bool) -> Iterator[Told]:
    if not shown:
        yield lambda _what, _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks = {what: bar.add_task(text, total=None, visible=False) for what, text in _TOLD.items()}
        yield lambda what, done, total: bar.update(tasks[what], completed=done, total=total or None, visible=True)


_TOLD = {
    "log": "reading the log, by partition",
    "copies": "images",
    "loose": "images in no chain",
    "derived": "things that were made",
}


def print_report(report: Report) -> None:
    out = console()
    for finding in report.findings[:_SHOWN_MAX]:
        about = " ".join(part for part in (finding.study_uid, finding.sop_instance_uid) if part)
        out.print(f"{finding.kind}: {about + ': ' if about else ''}{finding.text}", soft_wrap=True)
        if finding.key:
            out.print(f"  {finding.store or 'key'}: {finding.key}", soft_wrap=True)
        out.print(f"  {finding.next}.", soft_wrap=True)
    if len(report.findings) > _SHOWN_MAX:
        out.print(f"... and {len(report.findings) - _SHOWN_MAX} more; all of them: --json")
    looked = (
        f"{report.studies} studies, {report.links} images, {report.copies} good copies in {', '.join(report.stores)}, "
        f"{report.derived} things that were made, {report.bytes / (1 << 20):.1f} MiB read, {report.heads} signed heads"
    )
    out.print(looked, soft_wrap=True)
    if report.unlinked or report.held:
        out.print(
            f"{report.unlinked} images that are in no chain yet and {report.held} that are held: their bytes were "
            "checked against their events",
            soft_wrap=True,
        )
    if report.archived:
        out.print(
            f"{report.archived} copies are there and in archives, so their bytes were not read: radstream tier restore "
            "brings a study back, and it can be verified then",
            soft_wrap=True,
        )
    if report.waiting:
        out.print(f"{report.waiting} are too young to be in a chain or under a signature: verify again in 15 minutes")
    if report.without_metadata:
        out.print(
            f"{report.without_metadata} images were validated before metadata was hashed: their bytes are checked, "
            "and of a change it cannot be said in which part it is",
            soft_wrap=True,
        )
    counts = Counter(finding.kind for finding in report.findings)
    if counts:
        out.print("WRONG: " + ", ".join(f"{count} {kind}" for kind, count in counts.most_common()))
    else:
        out.print("sound")
