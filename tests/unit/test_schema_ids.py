"""The file of schema ids: what `radstream up` writes is what services read."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.config import ConfigError
from streams.schema_ids import read_ids, write_ids


def test_ids_come_back(tmp_path: Path) -> None:
    ids = {("imaging.instance.received", 1): 7, ("imaging.instance.received", 10): 8, ("imaging.audit.event", 1): 9}
    write_ids(tmp_path / "ids.json", ids)
    write_ids(tmp_path / "ids.json", ids)
    assert read_ids(tmp_path / "ids.json").ids == ids
    assert [path.name for path in tmp_path.iterdir()] == ["ids.json"]


def test_an_absent_file_says_who_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ids\.json.*radstream up"):
        read_ids(tmp_path / "ids.json")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"a": 1}', '{"a": {"one": 1}}', '{"a": {"1": "x"}}', '{"\xb0": {}}']
)
def test_a_broken_file_says_who_writes_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "ids.json").write_text(content, encoding="latin-1")
    with pytest.raises(ConfigError, match="radstream up"):
        read_ids(tmp_path / "ids.json")
