"""Where things stand in a TOML file that is an array of tables: what parsers forget and people ask for."""

from __future__ import annotations

import re


class Lines:
    """Lines count from 1. `table` is the array's name: `[[peer]]`."""

    def __init__(self, text: str, table: str) -> None:
        self._lines = text.splitlines()
        self._table = re.compile(rf"\s*\[\[\s*{re.escape(table)}\s*\]\]")
        self._inner = re.compile(rf"\s*\[\s*{re.escape(table)}\.")
        self._heads = [number for number, line in enumerate(self._lines, start=1) if self._table.match(line)]

    def of(self, entry: int, key: str) -> int:
        """The line of a key of the table with that number (from 0), or of its header; 1 where neither is found."""
        if entry >= len(self._heads):
            return 1
        head = self._heads[entry]
        named = re.compile(rf'\s*(\[\s*[^\[\]]*\.)?"?{re.escape(key)}"?\s*[=.\]]')
        for number, line in enumerate(self._lines[head:], start=head + 1):
            if re.match(r"\s*\[", line) and not self._inner.match(line):
                break
            if key and named.match(line):
                return number
        return head

    def top(self, name: str) -> int:
        """The line of a key or table outside the array; 1 where it is not found."""
        named = re.compile(rf'\s*\[{{0,2}}\s*"?{re.escape(name)}"?\s*[=.\]]')
        return next((number for number, line in enumerate(self._lines, start=1) if named.match(line)), 1)
