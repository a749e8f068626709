"""What can be set in [worklist]."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from streams.dimse.config import Listening


class Settings(Listening, frozen=True, kw_only=True):
    """Times are in seconds. `dsn` is the catalog's, of an account that may read it."""

    dsn: str
    # More matches than a scanner's list can show: the rest is refused, and said to be (0xA700).
    matches_max: Annotated[int, Meta(ge=1)] = 1000
    # A step that nobody performed is off the list so many days after its date.
    expires_days: Annotated[int, Meta(ge=0)] = 30
    commit_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
