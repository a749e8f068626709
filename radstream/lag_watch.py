"""`radstream lag --watch`: prints look after look, and ends with Ctrl-C."""

from __future__ import annotations

import sys

from rich.live import Live

from radstream.lag_look import Watch
from radstream.lag_picture import picture
from radstream.output import console, print_json_line
from streams import logs


def watch_json(watching: Watch) -> None:
    try:
        for look in watching.looks():
            print_json_line(look)
    except KeyboardInterrupt:
        return


def watch_table(watching: Watch) -> None:
    """One picture that changes, or without a terminal one after the other."""
    out = console()
    try:
        if not out.is_terminal:
            for look in watching.looks():
                out.print(picture(look))
                sys.stdout.flush()
            return
        # What librdkafka says of its connections would run through the picture, which says it itself.
        logs.configure("radstream", "critical")
        with Live(console=out, auto_refresh=False) as live:
            for look in watching.looks():
                live.update(picture(look), refresh=True)
    except KeyboardInterrupt:
        return
