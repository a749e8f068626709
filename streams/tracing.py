"""W3C Trace Context (https://www.w3.org/TR/trace-context/): one header, carried from record to record."""

from __future__ import annotations

import re
import secrets

from streams.wire import Headers

HEADER = "traceparent"

# version 00, trace id, parent id, flags (section 3.2). An id of zeros only is invalid.
_PATTERN = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})\Z")
_SAMPLED = "01"


def new_root() -> Headers:
    """The headers of something that nothing traced before it, such as an arriving image."""
    return _headers(secrets.token_hex(16), _SAMPLED)


def child_of(headers: Headers) -> Headers:
    """The headers of a record made from one with `headers`: same trace, own span.

    A header that is absent or not as the standard has it starts a new trace (section 3.2.2.4).
    """
    for name, value in reversed(headers):
        if name == HEADER and (match := _PATTERN.match(value)):
            return _headers(match[1].decode(), match[2].decode())
    return new_root()


def _headers(trace_id: str, flags: str) -> Headers:
    return ((HEADER, f"00-{trace_id}-{secrets.token_hex(8)}-{flags}".encode()),)
