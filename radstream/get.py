"""`radstream get`: a study's images as files, from whatever store they are in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consumers.catalog.enhanced import enhanced
from consumers.catalog.originals import Original, served
from consumers.catalog.study import study as read_study
from radstream.counting import counted
from radstream.errors import Failure
from radstream.getting import Getting, Got
from radstream.getting_enhanced import get_enhanced
from radstream.options import config_option, json_option, open_config, open_log
from radstream.output import console, print_table, show
from radstream.reading import audited, catalog_snapshot, parts_answer
from streams.config import Config, Site, Store
from streams.s3 import S3Store

MISSED = 3


@click.command(short_help="Write a study's images as files, from whatever store they are in.")
@click.argument("study_uid", metavar="UID")
@click.option("--to", "folder", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder.")
@click.option("--enhanced", "of_enhanced", is_flag=True, help="What derive enhanced of the images, in place of them.")
@config_option
@json_option
def get(study_uid: str, folder: Path, of_enhanced: bool, config_path: Path, as_json: bool) -> None:
    """Write the images of a study to FOLDER/SERIES/INSTANCE.dcm, each checked against its SHA-256.

    They are read from the fastest store that has them. What is in the folder already stays; images in quarantine are
    left out. The read counts in the policy that says where studies are kept.

    With --enhanced it writes the enhanced objects that are stored beside them (`[derive.output.enhancement]`): DICOM
    with series and names of their own, labelled as derived and not for primary reading.

    Exit code: 0 where every image is in the folder, 3 where some could not be read, 1 where nothing could be done.
    """
    config = open_config(config_path)
    site, stores = config.section("site", Site), config.section("store", Store)
    if of_enhanced:
        _show(_got_enhanced(config, study_uid, folder, shown=not as_json and sys.stderr.isatty()), as_json)
        return
    originals = _originals(config, study_uid)
    # Before a byte leaves the archive: what cannot be audited is not done.
    audited(config, open_log(config), "study_got", study_uid, {"instances": str(len(originals))})
    getting = Getting(S3Store(stores), stores.buckets, site.tenant, study_uid)
    with _progress(len(originals), shown=not as_json and sys.stderr.isatty()) as on_one, parts_answer():
        got = getting.get(originals, folder, on_one)
    if got.files:
        counted(config, open_log(config), study_uid, got.files)
    _show(got, as_json)


def _show(got: Got, as_json: bool) -> None:
    show(as_json, got, lambda: _print(got))
    if got.missed:
        sys.exit(MISSED)


def _got_enhanced(config: Config, study_uid: str, folder: Path, *, shown: bool) -> Got:
    site = config.section("site", Site)
    with catalog_snapshot(config) as cursor:
        objects = enhanced(cursor, site.tenant, study_uid)
    if not objects:
        raise Failure(
            "nothing of this study is enhanced: derive makes it where [derive.output.enhancement] says so, of what "
            "comes from then on, and of the rest by: radstream replay run derive --study UID. Of one file: radstream "
            "enhance"
        )
    audited(config, open_log(config), "study_got", study_uid, {"enhanced": str(len(objects))})
    with _progress(len(objects), shown=shown) as on_one, parts_answer():
        store = S3Store(config.section("store", Store))
        return get_enhanced(store, site.tenant, study_uid, objects, folder, on_one)


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
