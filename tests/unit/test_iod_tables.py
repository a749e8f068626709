"""The tables that are packed are those that the code beside them makes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consumers.validate.iod import conditions, tables
from consumers.validate.iod.sentences import Condition


def in_our_own_words() -> Iterator[object]:
    """A parameter for each condition of `conditions`, named by its place."""
    for named in ("BY_PLACE", "FORBIDDEN", "MODULES", "MACROS"):
        for place, condition in getattr(conditions, named).items():
            if condition is not None:
                yield pytest.param(condition, id="/".join((named, *place)))


@pytest.mark.parametrize("condition", list(in_our_own_words()))
def test_what_is_said_in_our_own_words_is_in_the_tables(condition: Condition) -> None:
    """What is changed in `conditions` does nothing until the tables are distilled anew (TABLES.md says how)."""
    assert condition in tables._packed().conditions
