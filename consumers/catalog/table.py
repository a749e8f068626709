"""One table that events fill, and its statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Row = Mapping[str, Any]

# What a replay made is the same event once it is published: a candidate no longer.
PUBLISHED = "DO UPDATE SET candidate = false WHERE held.candidate AND NOT excluded.candidate"


@dataclass(frozen=True)
class Table:
    """`rule` is the SQL that follows ON CONFLICT; `held` is the row that is there, `excluded` the one that comes.

    `only` is a condition on rows that come, as `coming`.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    rule: str = "DO NOTHING"
    only: str = "true"

    @cached_property
    def insert(self) -> bytes:
        columns = ", ".join(self.columns)
        return (
            f"INSERT INTO {self.name} AS held ({columns}) "
            f"SELECT {columns} FROM json_populate_recordset(NULL::{self.name}, %s::json) AS coming WHERE {self.only} "
            f"ON CONFLICT ({', '.join(self.key)}) {self.rule}"
        ).encode()


def columns(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def all_of(names: Sequence[str]) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in names)
