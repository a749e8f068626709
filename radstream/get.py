"""`radstream get`: a study's images as files, from whatever store they are in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consumers.catalog.originals import Original, served
from consumers.catalog.study import study as read_study
from radstream.counting import counted
from radstream.errors import Failure
from radstream.getting import Getting, Got
from radstream.options import config_option, json_option, open_config, open_log
from radstream.output import console, print_table, show
from radstream.reading import audited, catalog_snapshot, parts_answer
from streams.config import Config, Site, Store
from streams.s3 import S3Store

MISSED = 3


@click.command(short_help="Write a study's images as files, from whatever store they are in.")
@click.argument("study_uid", metavar="UID")
@click.option("--to", "folder", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder.")
@config_option
@json_option
def get(study_uid: str, folder: Path, config_path: Path, as_json: bool) -> None:
    """Write the images of a study to FOLDER/SERIES/INSTANCE.dcm, each checked against its SHA-256.

    They are read from the fastest store that has them. What is in the folder already stays; images in quarantine are
    left out. The read counts in the policy that says where studies are kept.

    Exit code: 0 where every image is in the folder, 3 where some could not be read, 1 where nothing could be done.
    """
    config = open_config(config_path)
    site, stores = config.section("site", Site), config.section("store", Store)
    originals = _originals(config, study_uid)
    # Before a byte leaves the archive: what cannot be audited is not done.
    audited(config, open_log(config), "study_got", study_uid, {"instances": str(len(originals))})
    getting = Getting(S3Store(stores), stores.buckets, site.tenant, study_uid)
    with _progress(len(originals), shown=not as_json and sys.stderr.isatty()) as on_one, parts_answer():
        got = getting.get(originals, folder, on_one)
    if got.files:
        counted(config, open_log(config), study_uid, got.files)
    show(as_json, got, lambda: _print(got))
    if got.missed:
        sys.exit(MISSED)


def _originals(config: Config, study_uid: str) -> Sequence[Original]:
    tenant = config.section("site", Site).tenant
    with catalog_snapshot(config) as cursor:
        if found := served(cursor, tenant, study_uid):
            return found
        if read_study(cursor, tenant, study_uid) is None:
            raise Failure(
                "the catalog has no study with this UID. A study that was sent just now is there when the catalog has "
                "caught up: radstream lag"
            )
    raise Failure(
        "no image of this study is valid: they wait for validation or are held; see: radstream quarantine list"
    )


@contextmanager
def _progress(total: int, *, shown: bool) -> Iterator[Callable[[], None]]:
    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as progress:
        task = progress.add_task("reading", total=total)
        yield lambda: progress.advance(task)


def _print(got: Got) -> None:
    if got.missed:
        rows = [(missed.series_uid, missed.sop_instance_uid, missed.reason) for missed in got.missed]
        print_table("Not written", ("series", "SOP instance", "reason"), rows)
    stores = ", ".join(f"{count} from {store}" for store, count in got.stores.items()) or "none was needed"
    there = f", {got.there} were there already" if got.there else ""
    console().print(
        f"{got.files} files ({got.bytes / 1e6:.1f} MB) written to {got.folder} in {got.seconds:.1f} s: {stores}{there}",
        soft_wrap=True,
    )
