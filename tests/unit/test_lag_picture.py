"""What `radstream lag --watch` shows of the router's spool."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

from rich.console import Console

from radstream.lag_look import Look
from radstream.lag_picture import picture
from radstream.spool import SpoolState

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
STATE = SpoolState("spool", "replicated", 7, 3_700_000, 12.4, 0, 0, 0, 4_000_000, 20 << 30)
LOOK = Look(NOW, NOW, None, 0, None, (), None, None)


def shown(look: Look) -> str:
    console = Console(file=StringIO(), width=160)
    console.print(picture(look))
    out = console.file
    assert isinstance(out, StringIO)
    return out.getvalue()


def test_what_waits_on_the_spool_is_shown_with_its_age() -> None:
    assert "7 instances wait on the router's spool, the oldest for 12 s." in shown(replace(LOOK, spool=STATE))


def test_an_empty_spool_and_none_are_not_worth_a_line() -> None:
    assert "spool" not in shown(LOOK)
    assert "spool" not in shown(replace(LOOK, spool=replace(STATE, instances=0, oldest_age_s=None)))
