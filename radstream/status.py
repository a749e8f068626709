"""`status`: what runs, and whether the accounts of the site agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from radstream.errors import Failure
from radstream.log_census import LogCensus
from radstream.options import config_option, json_option, open_config
from radstream.output import console, print_table, show
from radstream.savings import savings
from radstream.spool import SpoolState, waiting_too
from radstream.stack_state import NOT_DURABLE, StackState, stack_state
from radstream.store_census import HOT
from radstream.survey import Survey, survey

_FINDINGS_MAX = 20


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
        raise Failure(f"{error}{_not_running(stack)}{waiting_too(config)}") from None
    show(as_json, _facts(stack, found), lambda: _print(stack, found))


def _not_running(stack: StackState | None) -> str:
    if stack is None or not stack.missing:
        return ""
    return "".join([f" (not running: {', '.join(stack.missing)})", *(f"; {line}" for line in _ended(stack))])


def _ended(stack: StackState) -> list[str]:
    return [f"{name} ended: {why}" for name, why in stack.ended.items()]


def _facts(stack: StackState | None, found: Survey) -> dict[str, Any]:
    log = found.log
    return {
        "agree": found.agree,
        "accounts": found.equations,
        "stack": stack,
        "spool": found.spool,
        "topics": {
            topic: {"records": log.records[topic], "events": len(events), "undecodable": log.undecodable[topic]}
            for topic, events in log.events.items()
        },
        "bucket": _sizes(found.store.by_kind()),
        "stores": _sizes(found.store.copies),
        "unreferenced": unreferenced(found),
        "savings_bytes": savings(log, found.store),
        "catalog": dict(found.catalog),
        "studies": len(log.studies),
        "verdicts": verdicts_of(log),
        "findings": findings_of(log),
        "quarantined": log.quarantine_codes(),
        "quarantined_undecided": log.undecided_codes(),
        "refused": dict(sorted(log.refused.items())),
    }


def verdicts_of(log: LogCensus) -> dict[str, int]:
    """How many instances have each verdict, as validation and people left them."""
    found = log.findings().values()
    with_findings = sum(1 for rules in found if rules)
    return {
        "accepted": len(found) - with_findings,
        "accepted_with_findings": with_findings,
        "quarantined": len(log.quarantined),
    }


def findings_of(log: LogCensus) -> dict[str, int]:
    """By rule, how many instances that flow break it; the most first."""
    return dict(Counter(rule for rules in log.findings().values() for rule in rules).most_common())


def _sizes(held: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {name: {"objects": len(sizes), "bytes": sum(sizes.values())} for name, sizes in held.items()}


def unreferenced(found: Survey) -> dict[str, int]:
    """Objects that no event refers to: put by somebody who died before the event, or lost a race. They do no harm."""
    return {
        "originals": len(found.store.originals.keys() - found.log.original_keys),
        "derived": len(found.store.derived.keys() - found.log.derived_keys - found.log.kept_keys),
        "protected": len(found.store.protected.keys() - found.log.protected_keys),
        "copies": len({copy for copy in found.store.held() if copy[0] != HOT} - found.log.verified_copies().keys()),
    }


def _print(stack: StackState | None, found: Survey) -> None:
    if stack:
        rows = [(part.name, "runs" if part.runs else "stopped", part.pid) for part in stack.parts]
        print_table(f"Local stack in {stack.home}", ("part", "state", "pid"), rows, numbers=("pid",))
        for line in _ended(stack):
            console().print(line, style="bold red", soft_wrap=True)
    if spool := found.spool:
        print_spool(spool)
    equations = [("yes" if equation.agrees else "NO", equation.name, str(equation)) for equation in found.equations]
    print_table("Accounts", ("agree", "of", "equation"), equations)
    for title, what, sizes in (
        ("Objects", "kind", _sizes(found.store.by_kind())),
        ("Originals", "store", _sizes(found.store.copies)),
    ):
        counted = [(name, size["objects"], size["bytes"]) for name, size in sizes.items()]
        print_table(title, (what, "objects", "bytes"), counted, numbers=("objects", "bytes"))
    console().print(savings(found.log, found.store).sentence, soft_wrap=True)
    _print_verdicts(found.log)
    if refused := found.log.refused:
        print_table("Refused", ("reason", "count"), sorted(refused.items()), numbers=("count",))
    if orphans := unreferenced(found)["originals"]:
        console().print(
            f"{orphans} originals have no event: on their way, or left by a crash; radstream reconcile tells which",
            soft_wrap=True,
        )
    if stack and stack.durable is False:
        console().print(NOT_DURABLE, style="bold red")
    if not found.agree:
        console().print(
            "The accounts do not agree. Look at the group named in the equation: radstream lag", style="bold"
        )


def print_spool(spool: SpoolState) -> None:
    columns = ("instances", "bytes", "oldest", "aside", "damaged", "unreadable", "on disk", "budget")
    age = None if spool.oldest_age_s is None else f"{spool.oldest_age_s:.1f} s"
    counted = (spool.instances, spool.bytes, age, spool.aside, spool.damaged, spool.unreadable)
    row = (*counted, spool.disk_bytes, spool.budget_bytes)
    print_table(f"Spool in {spool.folder}: one node's promise", columns, [row], numbers=columns)
    if spool.unreadable:
        console().print(f"{spool}, which says what to do.", style="bold red", soft_wrap=True)


def _print_verdicts(log: LogCensus) -> None:
    print_table("Verdicts", ("verdict", "instances"), list(verdicts_of(log).items()), numbers=("instances",))
    if findings := list(findings_of(log).items())[:_FINDINGS_MAX]:
        print_table("Findings", ("rule", "instances"), findings, numbers=("instances",))
    waiting, numbers = log.undecided_codes(), ("count", "wait for a person")
    if held := log.quarantine_codes():
        counted = [(code, count, waiting.get(code, 0)) for code, count in sorted(held.items())]
        print_table("Quarantined", ("reason", *numbers), counted, numbers=numbers)
    if waiting:
        console().print(f"{sum(waiting.values())} held images wait for a person: radstream quarantine list")
