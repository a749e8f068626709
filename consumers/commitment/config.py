"""What can be set: section [commitment]. Nodes are in a file of their own (`streams.nodes`)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from streams.config import Service
from streams.runner_settings import RunnerSettings
from streams.titles import AeTitle


class Settings(Service, frozen=True, kw_only=True):
    """`dsn` is the catalog's. `copies` is what is promised: as many as the policy of [tiering] says, or fewer.
    `asks_for` names, by the AE title that asks, those whose images it asks for beside its own: a scanner may send
    under one title and ask under another.

    Times are in seconds. `deadline_s` is how long instances are awaited that are not safe yet, from the request on;
    `report_s_max` how long a requester is tried that does not take the report, `answer_s_max` what it has to answer,
    `association_first_s` how long a result is left to the association that asked, which may be open still.
    """

    dsn: str
    copies: Annotated[int, Meta(ge=1, le=8)] = 2
    asks_for: dict[AeTitle, tuple[AeTitle, ...]] = msgspec.field(default_factory=dict)
    deadline_s: Annotated[float, Meta(gt=0)] = 4 * 3600.0
    report_s_max: Annotated[float, Meta(gt=0)] = 86_400.0
    answer_s_max: Annotated[float, Meta(gt=0, le=600)] = 30.0
    association_first_s: Annotated[float, Meta(ge=0, le=60)] = 3.0
    # One request at a time in a thread: a node that is silent keeps nobody waiting but itself.
    runner: RunnerSettings = msgspec.field(default_factory=lambda: RunnerSettings(threads=8, batch_max=1))

    def __repr__(self) -> str:
        # The DSN holds a password.
        return "Settings()"
