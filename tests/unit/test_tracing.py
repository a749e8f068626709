"""W3C Trace Context: one trace from the C-STORE to the last result."""

from __future__ import annotations

import re

import pytest

from streams.tracing import child_of, new_root

GIVEN = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


def test_a_root_is_a_valid_header_of_its_own() -> None:
    ((name, value),) = new_root()
    assert name == "traceparent"
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-01", value)
    assert new_root() != new_root()


def test_a_child_keeps_trace_and_flags_and_has_its_own_span() -> None:
    ((_, value),) = child_of((("traceparent", GIVEN), ("other", b"x")))
    version, trace, span, flags = value.split(b"-")
    assert (version, trace, flags) == (b"00", b"4bf92f3577b34da6a3ce929d0e0e4736", b"00")
    assert span != b"00f067aa0ba902b7"


@pytest.mark.parametrize(
    "header",
    [b"", b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-00", GIVEN.upper(), GIVEN + b"-more", b"ff" + GIVEN[2:]],
)
def test_what_is_no_trace_starts_a_new_one(header: bytes) -> None:
    ((_, value),) = child_of((("traceparent", header),))
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-01", value)
