"""`radstream`: the groups of commands, each loaded when it is called."""

from __future__ import annotations

import sys

import click

from radstream.errors import Failure
from radstream.lazy import LazyGroup
from streams import logs
from streams.config import ConfigError

COMMANDS = {
    "up": "radstream.stack:up",
    "down": "radstream.stack:down",
    "status": "radstream.status:status",
    "doctor": "radstream.doctor:doctor",
    "demo": "radstream.demo:demo",
    "send": "radstream.send:send",
    "studies": "radstream.studies:studies",
    "study": "radstream.studies:study",
    "lag": "radstream.lag:lag",
    "tail": "radstream.tail:tail",
    "quarantine": "radstream.quarantine:quarantine",
    "catalog": "radstream.catalog:catalog",
    "bench": "radstream.bench:bench",
}


@click.group(cls=LazyGroup, commands_by_name=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="radstream")
def cli() -> None:
    """Medical images from C-STORE to archive, as events on Apache Kafka."""


def main() -> None:
    """Runs a command. What a person can mend ends as one message and exit code 1, without a stack trace."""
    # On stderr, and without the texts of exceptions: stdout is for facts.
    logs.configure("radstream", "warning")
    try:
        cli(standalone_mode=True)
    except (Failure, ConfigError) as error:
        click.echo(f"radstream: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
