"""The quarantine in words, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consumers.validate.releasing import REJECTED
from radstream.output import console, plain, print_table
from radstream.quarantine_asking import Told
from radstream.quarantine_deciding import Decided, StudyDecided
from radstream.quarantine_log import Held, Quarantined
from radstream.quarantine_showing import Decision, Shown

_REPLACED = "nodes that were sent it are sent the other now, and may keep both or the first: look there"
_FLOWED = (
    "nothing had held it, so it went wherever images of its study go: tell them. Its study goes on without it, and it "
    "does not say any more whose that is; what waits there is let go by: radstream quarantine release --study UID"
)
_TOLD = {"noted": "keeping the reason", "shown": "carried out"}


def print_held(found: Quarantined, *, decided: bool) -> None:
    """A table; with `decided`, what people said of each."""
    if found.held:
        columns = ("since", "study", "SOP instance", "code", "what is wrong", *(("decided",) if decided else ()))
        rows = [(*_row(one), *((_standing(one),) if decided else ())) for one in found.held]
        print_table(f"{len(found.held)} quarantined", columns, rows)
    else:
        click.echo("nothing is quarantined" if decided else "nothing is quarantined that waits for a decision")
    if found.unreadable:
        click.echo(f"{found.unreadable} records of the topic cannot be read", err=True)


def _row(one: Held) -> tuple[str | None, ...]:
    name = one.sop_instance_uid or f"(file {one.digest[:16]})"
    return f"{one.held_at:%Y-%m-%d %H:%M:%S}", one.study_uid or None, name, one.code, one.detail


def _standing(one: Held) -> str:
    if one.decided_at is None:
        return "no"
    return f"{one.state} by {plain(one.decided_by)} at {one.decided_at:%Y-%m-%d %H:%M}"


def print_decided(found: Decided) -> None:
    at = f"by {plain(found.actor)} at {found.decided_at:%Y-%m-%d %H:%M}"
    if not found.written:
        click.echo(f"nothing was done: it was {found.action} {at} already")
    elif found.action == "released":
        click.echo(f"released {at}: it flows, with the finding released_by_hand")
        for digest in found.replaced:
            click.echo(f"in place of {digest}, which is rejected; {_REPLACED}")
    else:
        click.echo(f"rejected {at}: it is served to nobody, and its bytes stay")
        if found.code == REJECTED:
            click.echo(_FLOWED)
    console().print(f"  study {found.study_uid or '-'}\n  file  {found.digest}", soft_wrap=True)


def print_study_decided(found: StudyDecided) -> None:
    if found.written:
        then = "they flow, with the finding released_by_hand" if found.action == "released" else "they are never served"
        images = "1 image" if found.written == 1 else f"{found.written} images"
        click.echo(f"{images} {found.action} by {plain(found.actor)}: {then}")
        if found.replaced:
            click.echo(f"in place of others under their UIDs, which are rejected: {len(found.replaced)}")
    else:
        click.echo("nothing was done: none waits for a decision")
    if found.stood:
        click.echo(f"{found.stood} stood so before")
    if found.left:
        stays = (
            "was decided otherwise before, and stays so" if found.left == 1 else "were decided otherwise, and stay so"
        )
        click.echo(f"{found.left} {stays}; to decide on that too: --again")
    if found.flow:
        flow = "was held before and flows" if found.flow == 1 else "were held before and flow"
        click.echo(f"{found.flow} {flow} by now, which stays so; to reject one all the same, name it")
    console().print(f"  study {found.study_uid}", soft_wrap=True)


@contextmanager
def deciding_progress(*, shown: bool) -> Iterator[Told]:
    """Two bars on stderr: reasons that are kept, and decisions that are seen."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as bar:
        tasks = {what: bar.add_task(text, total=None, visible=False) for what, text in _TOLD.items()}
        yield lambda what, done, total: bar.update(tasks[what], completed=done, total=total, visible=True)


def print_shown(found: Shown) -> None:
    out, held = console(), found.held
    lines = [
        f"file {held.digest}",
        f"  study  {held.study_uid or '(no usable UID)'}",
        f"  series {found.series_uid or '(no usable UID)'}",
        f"  SOP    {held.sop_instance_uid or '(no usable UID)'}",
        f"held as {held.code} by {held.step} since {held.held_at:%Y-%m-%d %H:%M:%S}",
        f"  {held.detail}",
        f"what it means: {found.reason}",
        f"what to do: {found.todo}",
        f"came {_source(found)}",
        f"stored in {found.object.store} as {found.object.key}, {found.object.size} bytes",
    ]
    if found.cannot_be_released:
        lines.append(f"cannot be released: {found.cannot_be_released}")
    for line in (*lines, *map(_decision, found.history)):
        out.print(line, soft_wrap=True)
    if not found.history:
        out.print("nobody has decided yet: radstream quarantine release | reject", soft_wrap=True)
    if found.findings:
        columns = ("rule", "severity", "tag", "section", "text")
        print_table("Findings", columns, [tuple(one[name] for name in columns) for one in found.findings])


def _source(found: Shown) -> str:
    if found.source is None or found.received_at is None:
        return "from somewhere that the log does not say any more"
    source = found.source
    return (
        f"from {plain(source.calling_ae)} to {plain(source.called_ae)} by {source.protocol} at "
        f"{found.received_at:%Y-%m-%d %H:%M:%S} (association {source.association})"
    )


def _decision(one: Decision) -> str:
    why = f"because: {plain(one.why)}" if one.why is not None else f"(the reason is {one.why_state})"
    return f"{one.action} by {plain(one.actor)} at {one.at:%Y-%m-%d %H:%M}, {why}"
