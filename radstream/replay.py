"""`radstream replay`: a step once more over what the log holds, beside what is current, compared, then switched to."""

from __future__ import annotations

import click

from radstream.replay_compare import compare
from radstream.replay_list import list_
from radstream.replay_run import run
from radstream.replay_switch import switch


@click.group()
def replay() -> None:
    """Make a step's results anew beside the current ones, compare, and switch."""


for _command in (run, list_, compare, switch):
    replay.add_command(_command)
