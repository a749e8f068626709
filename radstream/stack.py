"""`up` and `down`: the embedded local stack."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from infra.local import home
from infra.local.errors import StackError
from infra.local.parts.part import Serving
from infra.local.restarting import Restarted
from infra.local.stack import Stack
from radstream.errors import Failure
from radstream.options import json_option
from radstream.output import print_table, show


@contextmanager
def _told() -> Iterator[None]:
    """What the stack cannot do is told to the person, without a stack trace."""
    try:
        yield
    except StackError as error:
        raise Failure(str(error)) from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise Failure(f"the stack cannot go on: {os.strerror(error.errno or 0)}{where}") from None


def _stack() -> Stack:
    return Stack(home.default_home(), say=lambda line: click.echo(line, err=True))


@click.command()
@click.argument("parts", nargs=-1)
@click.option("--brokers", type=click.IntRange(1, 3), help="Kafka brokers of a new home: 1 (as without it) or 3.")
@click.option("--production", is_flag=True, help="Refuse a disk that cannot keep what is acknowledged.")
def up(parts: tuple[str, ...], brokers: int | None, production: bool) -> None:
    """Start the local stack, or PARTS of it. What runs already is left as it is."""
    with _told():
        stack = _stack()
        started = stack.up(parts, brokers, production=production)
        click.echo(f"started: {', '.join(started)}" if started else "everything was running already", err=True)
        click.echo(f"configuration: {stack.config_path}", err=True)


@click.command()
@click.argument("parts", nargs=-1)
@click.option("--wipe", is_flag=True, help="Remove all data too: log, objects, database.")
@click.option("--yes", is_flag=True, help="Do not ask before removing data.")
def down(parts: tuple[str, ...], wipe: bool, yes: bool) -> None:
    """Stop the local stack, or PARTS of it, the last started first."""
    with _told():
        stack = _stack()
        if wipe:
            if parts:
                raise Failure("--wipe removes everything; give it without PARTS")
            if not yes:
                click.confirm(f"Remove {stack.home} with everything in it?", abort=True, err=True)
            stack.wipe()
            click.echo(f"removed: {stack.home}", err=True)
            return
        stopped = stack.down(parts)
        click.echo(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running", err=True)


@click.command()
@click.argument("parts", nargs=-1, required=True)
@json_option
def restart(parts: tuple[str, ...], as_json: bool) -> None:
    """Start PARTS anew, with the code and the configuration that are there now.

    The router hands over: the new process takes over its ports, the old one ends its associations, and no sender is
    refused. Where the new one cannot serve, the old one goes on. All other parts are stopped and started.
    """
    with _told():
        restarted = _stack().restart(parts)
    show(as_json, {"restarted": restarted}, lambda: _print_restarted(restarted))


def _print_restarted(restarted: Sequence[Restarted]) -> None:
    columns = ("part", "how", "before", "now", "seconds")
    rows = [
        (one.part, one.how.replace("_", " "), _process(one.before), _process(one.now), f"{one.seconds:.1f}")
        for one in restarted
    ]
    print_table("Restarted", columns, rows, numbers=("seconds",))


def _process(serving: Serving | None) -> str | None:
    return None if serving is None else f"{serving.version} (process {serving.pid})"
