"""Checks as a person reads them: a line each, and below what is broken what to do."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from radstream.checks.check import Check
from radstream.output import console

MARKS = {"well": ("ok", "green"), "note": ("note", "yellow"), "broken": ("BROKEN", "bold red")}


def print_checks(found: Sequence[Check]) -> None:
    out = console()
    for one in found:
        mark, style = MARKS[one.state]
        out.print(Text.assemble((f"{mark:>6}", style), f"  {one.part} {one.name}: {one.found}"), soft_wrap=True)
        if one.mend:
            out.print(Text(f"        -> {one.mend}"), soft_wrap=True)
    broken = sum(one.state == "broken" for one in found)
    out.print(f"\n{broken} broken of {len(found)} checks." if broken else f"\nAll well: {len(found)} checks.")
