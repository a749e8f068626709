"""What a person wants done with held instances, and why."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from radstream.audit import account
from radstream.errors import Failure

Action = Literal["released", "rejected"]
# Called with what is done (noted, shown), how much, and of how much.
Told = Callable[[str, int, int], None]
_ACTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_REASON_MAX = 4000


@dataclass(frozen=True)
class Asked:
    """`actor` is an account. `again`: although another decision was made before."""

    action: Action
    reason: str
    actor: str
    again: bool


def asked_by(actor: str | None, action: Action, reason: str, *, again: bool) -> Asked:
    """By whoever runs the command, where nobody is named. Raises Failure."""
    who = actor if actor is not None else account()
    if not _ACTOR.fullmatch(who):
        raise Failure("--as: an account has 1 to 64 letters, digits, or . _ @ -, a letter or digit first")
    if not 0 < len(reason.strip()) <= _REASON_MAX:
        raise Failure(f"--reason: say why, in 1 to {_REASON_MAX} characters")
    return Asked(action, reason.strip(), who, again)
