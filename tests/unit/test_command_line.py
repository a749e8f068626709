"""`radstream --help` says what there is without loading it."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from radstream.__main__ import COMMANDS, cli

# Runs the command line and then says on stderr what was imported for it.
HELP = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
sys.argv = ["radstream", "--help"]
from radstream.__main__ import main
main()
"""
HEAVY = {"pynetdicom", "pydicom", "imagecodecs", "numpy", "confluent_kafka", "obstore", "psycopg", "fastavro"}


def test_help_names_every_command_and_imports_none() -> None:
    ended = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    listed = [line.split()[0] for line in ended.stdout.partition("Commands:")[2].splitlines() if line[2:3].strip()]
    assert listed == list(COMMANDS)
    imported = set(ended.stderr.split())
    assert "radstream.lazy" in imported
    assert imported.isdisjoint(HEAVY | {lazy.target.partition(":")[0] for lazy in COMMANDS.values()})


@pytest.mark.parametrize("name", COMMANDS)
def test_what_help_says_of_a_command_is_the_first_sentence_of_its_own_help(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert COMMANDS[name].short_help == command.get_short_help_str(limit=1000)
