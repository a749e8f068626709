"""`demo`: real DICOM by real C-STORE through the whole pipeline, and what became of it."""

from __future__ import annotations

from pathlib import Path

import click

from radstream.catalog_times import CatalogTimes, catalog_times
from radstream.demo_items import PHANTOM, demo_items
from radstream.demo_progress import DemoProgress
from radstream.demo_results import said_of
from radstream.demo_run import CALLING_AE, DemoRun, summary_of
from radstream.demo_summary import print_summary
from radstream.demo_whole import whole
from radstream.errors import Failure
from radstream.flow import Flow, Gauge
from radstream.options import config_option, json_option, open_config, open_log
from radstream.output import show
from radstream.send import router_of
from radstream.sending import send_items
from radstream.stack import up
from radstream.stack_state import NOT_DURABLE, Part, StackState, stack_state
from radstream.survey import survey

ASSOCIATIONS = 2
# A study is quiet for 10 seconds (as the local stack is set) before it has a revision, and a network on a busy machine
# takes a minute for a series: nothing is written meanwhile.
STALLED_S_MAX = 180.0


@click.command()
@config_option
@json_option
def demo(config_path: Path, as_json: bool) -> None:
    """Send test images and a generated chest CT, follow them to results and through the tiers, and sum up.

    Starts the local stack where it does not run. A second run finds everything there already.
    """
    stack = _started(config_path)
    config = open_config(config_path)
    log = open_log(config)
    router, gauge = router_of(config), Gauge(log)
    before = gauge.read()
    run = DemoRun(demo_items())
    click.echo(f"sending {len(run.objects)} objects to {router} by C-STORE, then following them", err=True)
    progress = DemoProgress(len(run.objects), before)
    with catalog_times(config) as catalog:
        with progress.following(gauge):
            result = send_items(
                run.objects,
                router,
                associations=ASSOCIATIONS,
                calling_ae=CALLING_AE,
                on_sent=progress.also(run.settled),
            )
            if not result.acknowledged:
                raise Failure(f"the router took nothing: {result.unsent[0]['reason']}. See: radstream status")
            seen = gauge.wait_until_still(lambda: _study_is_out(catalog), STALLED_S_MAX, progress.flow)
        _go_on_if(seen.is_still and _study_is_out(catalog), seen, config_path)
        said = said_of(log, config, PHANTOM.uid)
        made = len({one.instance.digest for result in said.results for one in result.objects})
        click.echo(f"waiting for the revision that holds {made} objects of the models too", err=True)
        seen = gauge.wait_until_still(lambda: _study_is_out(catalog, made), STALLED_S_MAX)
        _go_on_if(seen.is_still and _study_is_out(catalog, made), seen, config_path)
        rest = whole(log, config, PHANTOM.uid, lambda line: click.echo(line, err=True))
        seen = gauge.wait_until_still(lambda: True, STALLED_S_MAX)
        durable = stack.durable if stack else None
        summary = summary_of(run, config, catalog, survey(config), seen, rest, seconds=result.seconds, durable=durable)
    show(as_json, summary, lambda: print_summary(summary))
    if not summary.agree:
        raise Failure("the accounts do not agree; see the equations above, and: radstream status")
    if not rest.agree:
        raise Failure("the results are not what they should be: see the lines above, and: radstream results")


def _started(config_path: Path) -> StackState | None:
    """The local stack, started where it does not run; None where the configuration is of another site."""
    home = config_path.absolute().parent
    found = stack_state(home)
    if not config_path.exists() or (found is not None and found.missing):
        click.get_current_context().invoke(up, parts=(), brokers=None)
        found = stack_state(home)
    if found is not None and found.durable is False:
        click.echo(NOT_DURABLE, err=True)
    return found


def _study_is_out(catalog: CatalogTimes, made: int = 0) -> bool:
    """The generated study was quiet, and its revision holds all of it and what models made of it."""
    return catalog.revision(PHANTOM.uid).instances >= sum(PHANTOM.slices) + made


def _go_on_if(ready: bool, seen: Flow, config_path: Path) -> None:
    if not ready:
        raise Failure(_stuck(seen, stack_state(config_path.absolute().parent)))


def _stuck(seen: Flow, stack: StackState | None) -> str:
    """Who is behind, whether it runs, and where to look."""
    parts = {part.name: part for part in stack.parts} if stack else {}
    behind = []
    for group, lag in seen.lag.items():
        if lag:
            part = parts.get(group)
            state = "" if part is None else f" ({_state(part)}, its log: {part.log})"
            behind.append(f"{group} is {lag} records behind{state}")
    what = "; ".join(behind) or "no revision of the generated study holds all its images (radstream lag revisions)"
    return f"the pipeline did not catch up and nothing moved for {STALLED_S_MAX:.0f} s: {what}. See: radstream status"


def _state(part: Part) -> str:
    if part.runs:
        return "it runs"
    return f"it ended: {part.ended}" if part.ended else "it does not run"
