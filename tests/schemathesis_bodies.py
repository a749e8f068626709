"""What schemathesis is to send where a body is no JSON and no form: the bytes that it made up (PS3.18 section 10.5)."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer("multipart/related")
def stored(_: schemathesis.SerializationContext, value: Any) -> Any:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else bytes(str(value), "utf-8")
