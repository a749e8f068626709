"""No text of an exception, a warning or another library's message reaches a log: it can quote a patient's name."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydicom.dataelem import DataElement

from streams import logs
from tests.logged import lines

NAME = "DOE^JANE"


def test_a_line_is_json_with_level_time_and_service(written: io.StringIO) -> None:
    structlog.get_logger().info("instance_stored", size=3, path=Path("a/b"), at=datetime(2026, 1, 2, tzinfo=UTC))
    (line,) = lines(written)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "instance_stored",
        "service": "testing",
        "level": "info",
        "size": 3,
        "path": "a/b",
        "at": "2026-01-02T00:00:00+00:00",
    }


def test_an_exception_is_its_type_and_its_place(written: io.StringIO) -> None:
    try:
        raise ValueError(f"cannot parse {NAME}")
    except ValueError as error:
        structlog.get_logger().error("one", exc_info=True)
        structlog.get_logger().error("two", exc_info=error)
        structlog.get_logger().exception("three")
        structlog.get_logger().error("four", cause=error)
    assert NAME not in written.getvalue()
    assert [line.get("error", line.get("cause")) for line in lines(written)] == ["ValueError"] * 4
    assert "test_an_exception_is_its_type_and_its_place" in lines(written)[0]["where"][-1]


def test_a_value_that_json_has_no_word_for_is_only_its_type(written: io.StringIO) -> None:
    structlog.get_logger().info("read", element=DataElement(0x00100010, "PN", NAME), nested={"raw": NAME.encode()})
    assert NAME not in written.getvalue()
    assert lines(written)[0]["element"] == "<DataElement>"


def test_libraries_say_where_but_not_what(written: io.StringIO) -> None:
    logging.getLogger("pydicom").warning("Invalid value for VR PN: %s", NAME)
    logging.getLogger("pynetdicom.acse").info("not even that")
    try:
        raise KeyError(NAME)
    except KeyError:
        logging.getLogger("botocore").exception("failed with %s", NAME)
    first, second = lines(written)
    assert NAME not in written.getvalue()
    assert (first["event"], first["logger"], first["severity"]) == ("library_message", "pydicom", "warning")
    assert (second["logger"], second["error"]) == ("botocore", "KeyError")


def test_python_warnings_say_their_category(written: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = _shown_by_logs()
        warnings.warn(f"Value exceeds the maximum length: {NAME}", UserWarning, stacklevel=1)
    assert NAME not in written.getvalue()
    (line,) = lines(written)
    assert (line["event"], line["category"]) == ("python_warning", "UserWarning")


def _shown_by_logs() -> Any:
    """`catch_warnings` puts Python's own printer back; a process that is not a test keeps the one set at its start."""
    logs.configure("testing", "debug", structlog.get_config()["logger_factory"]._file)
    return warnings.showwarning


def test_a_process_that_dies_does_not_print_the_text() -> None:
    body = (
        "import threading; from streams import logs; logs.configure('dying')\n"
        f"def fail(): raise ValueError('{NAME}')\n"
        "thread = threading.Thread(target=fail); thread.start(); thread.join(); fail()\n"
    )
    ended = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, check=False)
    said = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.returncode == 1
    assert NAME not in ended.stderr + ended.stdout
    assert [line["error"] for line in said] == ["ValueError", "ValueError"]


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="one of debug, info"):
        logs.configure("testing", "loud")
