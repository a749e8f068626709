"""One address is never allowed more than there are, and leaves room for others where nothing says how much it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.dimse.config import Settings as Retrieve
from producers.orders.config import Settings as Orders
from producers.worklist.config import Settings as Worklist
from streams.config import ConfigError, load

# A section, its settings, what it counts, how much of it one address may have, and the property that says so.
COUNTED = [
    ("worklist", Worklist, "associations", 8, "of_one_address_max"),
    ("retrieve", Retrieve, "associations", 8, "of_one_address_max"),
    ("retrieve", Retrieve, "retrieves", 4, "retrieves_of_one_address_max"),
    ("orders", Orders, "connections", 8, "of_one_address_max"),
]
counted = pytest.mark.parametrize(("section", "kind", "what", "default", "says"), COUNTED)


def settings(folder: Path, section: str, kind: Any, text: str) -> Any:
    path = folder / "radstream.toml"
    dsn = "" if kind is Orders else 'dsn = "dbname=none"\n'
    path.write_text(f"[{section}]\nhttp_port = 0\nport = 0\n{dsn}{text}\n", encoding="utf-8")
    return load(path).section(section, kind)


@counted
def test_one_address_is_not_allowed_more_than_there_are(
    tmp_path: Path, section: str, kind: Any, what: str, default: int, says: str
) -> None:
    text = f"{what}_max = {default}\n{what}_per_peer_max = {default + 1}"
    with pytest.raises(ConfigError, match=rf"{what}_per_peer_max \({default + 1}\) is more than {what}_max"):
        settings(tmp_path, section, kind, text)


@counted
def test_where_there_are_few_one_address_leaves_a_quarter(
    tmp_path: Path, section: str, kind: Any, what: str, default: int, says: str
) -> None:
    for all_max, of_one in ((1, 1), (4, min(3, default)), (100, default)):
        assert getattr(settings(tmp_path, section, kind, f"{what}_max = {all_max}"), says) == of_one
    assert getattr(settings(tmp_path, section, kind, f"{what}_max = 4\n{what}_per_peer_max = 4"), says) == 4
