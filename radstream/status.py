"""`status`: what runs, and whether the accounts of the site agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from radstream.errors import Failure
from radstream.options import config_option, json_option, open_config
from radstream.output import console, print_table, show
from radstream.stack_state import NOT_DURABLE, StackState, stack_state
from radstream.store_census import StoreCensus
from radstream.survey import Survey, survey


@click.command()
@config_option
@json_option
def status(config_path: Path, as_json: bool) -> None:
    """Show what runs, and account for every image: log, catalog and bucket against each other.

    Reads the whole log and lists the whole bucket, so it takes longer the more there is.
    """
    config = open_config(config_path)
    stack = stack_state(config_path.absolute().parent)
    try:
        found = survey(config)
    except Failure as error:
        raise Failure(f"{error}{_not_running(stack)}") from None
    show(as_json, _facts(stack, found), lambda: _print(stack, found))


def _not_running(stack: StackState | None) -> str:
    return f" (not running: {', '.join(stack.missing)})" if stack and stack.missing else ""


def _facts(stack: StackState | None, found: Survey) -> dict[str, Any]:
    log = found.log
    return {
        "agree": found.agree,
        "accounts": found.equations,
        "stack": stack,
        "topics": {
            topic: {"records": log.records[topic], "events": len(events), "undecodable": log.undecodable[topic]}
            for topic, events in log.events.items()
        },
        "bucket": _bucket(found.store),
        "unreferenced": unreferenced(found),
        "catalog": dict(found.catalog),
        "studies": len(log.studies),
        "quarantined": log.quarantine_codes(),
        "refused": dict(sorted(log.refused.items())),
    }


def _bucket(store: StoreCensus) -> dict[str, dict[str, int]]:
    return {name: {"objects": len(held), "bytes": sum(held.values())} for name, held in store.by_kind().items()}


def unreferenced(found: Survey) -> dict[str, int]:
    """Objects that no event refers to: put by somebody who died before the event, or lost a race. They do no harm."""
    return {
        "originals": len(found.store.originals.keys() - found.log.original_keys),
        "derived": len(found.store.derived.keys() - found.log.derived_keys),
        "protected": len(found.store.protected.keys() - found.log.protected_keys),
    }


def _print(stack: StackState | None, found: Survey) -> None:
    if stack:
        rows = [(part.name, "runs" if part.runs else "stopped", part.pid) for part in stack.parts]
        print_table(f"Local stack in {stack.home}", ("part", "state", "pid"), rows, numbers=("pid",))
    equations = [("yes" if equation.agrees else "NO", equation.name, str(equation)) for equation in found.equations]
    print_table("Accounts", ("agree", "of", "equation"), equations)
    bucket = [(name, counted["objects"], counted["bytes"]) for name, counted in _bucket(found.store).items()]
    print_table("Bucket", ("kind", "objects", "bytes"), bucket, numbers=("objects", "bytes"))
    for title, reasons in (("Quarantined", found.log.quarantine_codes()), ("Refused", dict(found.log.refused))):
        if reasons:
            print_table(title, ("reason", "count"), sorted(reasons.items()), numbers=("count",))
    if stack and stack.durable is False:
        console().print(NOT_DURABLE, style="bold red")
    if not found.agree:
        console().print(
            "The accounts do not agree. Look at the group named in the equation: radstream lag", style="bold"
        )
