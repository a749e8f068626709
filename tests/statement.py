"""The tables of docs/conformance.md, for tests that compare them with the code."""

from __future__ import annotations

import re
from pathlib import Path

from pydicom.uid import UID

PAGE = Path(__file__).resolve().parents[1] / "docs" / "conformance.md"
TEXT = PAGE.read_text(encoding="utf-8")

Row = tuple[str, ...]


def table(before: str) -> list[Row]:
    """Cells of the first table behind the one line that begins with `before`, without its head and backquotes."""
    lines = TEXT.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.lstrip("# ").startswith(before)]
    start = next(number for number, line in enumerate(lines[at:], at) if line.startswith("|"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(tuple(cell.strip().replace("`", "") for cell in line.strip("|").split("|")))
    assert rows, f"there is no table behind {before}"
    return rows


def column(before: str, number: int = 0) -> list[str]:
    return [row[number] for row in table(before)]


def codes(before: str) -> list[int]:
    """Statuses or reasons in the first column of a table, in its order."""
    return [int(cell, 16) for cell in column(before)]


def numbers(text: str) -> list[int]:
    """Hexadecimal numbers in a cell; of a range its first and its last."""
    return [int(found, 16) for found in re.findall(r"0x[0-9A-F]{4}", text)]


def plainly(uid: str) -> str:
    """The name of a transfer syntax as the page writes it."""
    return UID(uid).name.split(":")[0].replace(" (Retired)", "")
