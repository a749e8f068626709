"""Until the catalog shows what was decided on held instances."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from consumers.catalog.database import Cursor
from consumers.catalog.quarantine import standing
from radstream.errors import Failure
from radstream.quarantine_asking import Told
from radstream.reading import catalog_snapshot
from streams.config import Config
from streams.events import QuarantineCommand

# Since the last of them was shown.
SHOWN_S_MAX = 30.0
_POLL_S = 0.1


def wait(config: Config, commands: Sequence[QuarantineCommand], told: Told) -> None:
    """Until the catalog shows all: each decision, and of a release that the instance flows. Raises Failure."""
    shown, until_s = 0, time.monotonic() + SHOWN_S_MAX
    while shown < len(commands) and time.monotonic() < until_s:
        before = shown
        # What is in the log is decided, also where the catalog went away since.
        with suppress(Failure), catalog_snapshot(config) as cursor:
            while shown < len(commands) and _is_shown(cursor, commands[shown]):
                shown += 1
        if shown > before:
            until_s = time.monotonic() + SHOWN_S_MAX
            told("shown", shown, len(commands))
        else:
            time.sleep(_POLL_S)
    if shown < len(commands):
        raise Failure(_not_shown(commands, shown))


def _is_shown(cursor: Cursor, command: QuarantineCommand) -> bool:
    now = standing(cursor, command.meta.tenant, command.instance.digest)
    flows = now.verdict not in (None, "quarantined")
    return now.decision == command.action and flows == (command.action == "released")


def _not_shown(commands: Sequence[QuarantineCommand], shown: int) -> str:
    action = commands[shown].action
    if len(commands) == 1:
        what, so_far = f"{commands[0].instance.digest} is", "The catalog has not shown it"
    else:
        what, so_far = f"{len(commands)} images are", f"The catalog shows {shown} of them, and no further one"
    return (
        f"{what} {action}: it is in the log, and will be done. {so_far} in {SHOWN_S_MAX:.0f} s; see whether the "
        "services run: radstream lag validate, radstream lag catalog"
    )
