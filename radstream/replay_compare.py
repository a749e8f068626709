"""`radstream replay compare`: what a replay made beside what is current without it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import click
import msgspec

from consumers.catalog.comparing import Comparison
from consumers.catalog.comparing import compare as compared
from consumers.catalog.progress import Offsets, behind, log_ends
from consumers.catalog.reading import Reads
from radstream.errors import Failure
from radstream.options import config_option, json_option, open_config, open_log
from radstream.output import console, print_table, show
from radstream.reading import catalog_snapshot, dsn_of, parts_answer
from radstream.replay_found import Progress, found, progress_of
from radstream.replay_steps import STEPS
from streams.config import Config, Site

DIFFERS = 3
_PATIENCE_S = 60.0
_POLL_S = 0.25


@click.command()
@click.argument("step", type=click.Choice(STEPS))
@click.argument("generation", type=click.IntRange(1))
@config_option
@json_option
def compare(step: str, generation: int, config_path: Path, as_json: bool) -> None:
    """Compare what a replay made with what is current without it, instance by instance.

    Exit code: 0 where all is the same, 3 where something differs, is missing or is extra, 1 where it cannot be said.
    """
    config = open_config(config_path)
    log = open_log(config)
    with parts_answer():
        replay = found(config, log, step, generation)
        progress, ends = progress_of(log, replay), log_ends(log)
        _wait_for_catalog(config, ends)
    with catalog_snapshot(config) as cursor:
        result = compared(cursor, config.section("site", Site).tenant, step, generation, replay.replay)
    show(as_json, _facts(result, progress), lambda: _print(result, progress))
    if not result.equal:
        sys.exit(DIFFERS)


def _wait_for_catalog(config: Config, ends: Offsets) -> None:
    """Until the catalog has read what the log held a moment ago. Raises Failure, Away."""
    end_s = time.monotonic() + _PATIENCE_S
    with closing(Reads(dsn_of(config))) as reads:
        while True:
            with reads.snapshot() as cursor:
                missing = behind(cursor, ends)
            if not missing:
                return
            if time.monotonic() > end_s:
                raise Failure(
                    f"the catalog has not read {sum(missing.values())} records of the log yet, so nothing can be "
                    "compared; see how far it is: radstream lag catalog"
                )
            time.sleep(_POLL_S)


def _facts(result: Comparison, progress: Progress) -> Mapping[str, object]:
    return {"equal": result.equal, "progress": progress, **msgspec.structs.asdict(result)}


def _print(result: Comparison, progress: Progress) -> None:
    out = console()
    if progress.done < progress.total:
        out.print(f"the replay is not complete: {progress.done} of {progress.total} records are done")
    out.print(
        f"{result.same} the same, {result.different} different, {result.missing} missing in generation "
        f"{result.generation}, {result.extra} only in it"
    )
    if result.differences:
        print_table("What differs", ("what", "instances"), list(result.differences.items()), numbers=("instances",))
        rows = [(one.study_uid, one.digest, ", ".join(one.what)) for one in result.examples]
        print_table("Examples", ("study", "instance", "what"), rows)
