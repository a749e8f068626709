"""A catalog whose tables are not those of this build is one message of `radstream status`, and no stack trace."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

CONFIG = """
[site]
tenant = "local"
site = "local"
[catalog]
http_port = 1
dsn = "{dsn}"
"""


def test_tables_of_another_build_are_one_message(new_database: Callable[[], str], tmp_path: Path) -> None:
    config = tmp_path / "radstream.toml"
    config.write_text(CONFIG.format(dsn=new_database()))
    argv = [sys.executable, "-m", "radstream", "status", "--config", str(config)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("radstream: the catalog's tables are not those of this build")
    assert "Traceback" not in done.stderr
