"""Refused associations and handshakes: each is counted, and in the log's audit, and a flood of them floods neither.

The first of a kind (who, from where, why) is logged at once. Audit events are written once a second by the service's
main loop; of a kind that goes on, one a minute, saying how many it stands for. While the log is away they wait.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from streams.clock import Clock
from streams.log import LogAway, LogRefused

_WINDOW_S: Final = 60.0
# So many kinds at once, and so many of one address; what is beyond counts as of anybody.
_KINDS_MAX, _KINDS_PER_ADDRESS_MAX = 64, 8
ANYBODY: Final = "*"


@dataclass(frozen=True)
class Kind:
    """`action` is association.refused or tls.refused. `actor` is the calling AE title as it was claimed, else '?'."""

    action: str
    actor: str
    address: str
    why: str


@dataclass
class _Account:
    """`told` is how many of `count` audit events have, `said_at` when the last of them was written."""

    sentence: str
    count: int = 0
    told: int = 0
    said_at: float | None = None


# Writes the audit event: the kind, a sentence, and how many. Raises LogAway, LogRefused, TimeoutError.
Write = Callable[[Kind, str, int], None]


class Refusals:
    """`note` is called from the threads of all associations, `publish` from one."""

    def __init__(self, write: Write, clock: Clock) -> None:
        self._write = write
        self._clock = clock
        self._lock = threading.Lock()
        self._accounts: dict[Kind, _Account] = {}

    def note(self, kind: Kind, sentence: str, **fields: object) -> None:
        """Somebody was refused. `fields` are for the line of the log alone."""
        with self._lock:
            kept = self._kept(kind)
            is_new = kept not in self._accounts
            self._accounts.setdefault(kept, _Account(sentence)).count += 1
        if is_new:
            structlog.get_logger().warning(
                kept.action.replace(".", "_"),
                peer=kept.address,
                calling_ae=kept.actor,
                why=kept.why,
                reason=sentence,
                **fields,
            )

    def publish(self, *, all_of_it: bool = False) -> None:
        """Writes the audit events that are due: of new kinds, and of those whose minute is over (or `all_of_it`)."""
        for kind, account in self._snapshot().items():
            if account.count > account.told and (all_of_it or self._is_due(account)):
                count = account.count
                try:
                    self._write(kind, account.sentence, count - account.told)
                except (LogAway, LogRefused, TimeoutError) as error:
                    structlog.get_logger().error("refusals_not_audited", error=error, kinds=len(self._accounts))
                    return
                account.told, account.said_at = count, self._clock.monotonic()
        self._forget()

    def _is_due(self, account: _Account) -> bool:
        return account.said_at is None or self._clock.monotonic() - account.said_at >= _WINDOW_S

    def _snapshot(self) -> Mapping[Kind, _Account]:
        with self._lock:
            return dict(self._accounts)

    def _forget(self) -> None:
        """Those that were quiet for a minute: the next of them is new."""
        now = self._clock.monotonic()
        with self._lock:
            over = [
                kind
                for kind, account in self._accounts.items()
                if account.count == account.told and account.said_at is not None and now - account.said_at >= _WINDOW_S
            ]
            for kind in over:
                del self._accounts[kind]

    def _kept(self, kind: Kind) -> Kind:
        """The kind that it is counted as: itself, or anybody where there are too many."""
        if kind in self._accounts:
            return kind
        of_address = Counter(one.address for one in self._accounts)[kind.address]
        if of_address >= _KINDS_PER_ADDRESS_MAX:
            kind = Kind(kind.action, ANYBODY, kind.address, kind.why)
        if len(self._accounts) >= _KINDS_MAX and kind not in self._accounts:
            kind = Kind(kind.action, ANYBODY, ANYBODY, kind.why)
        return kind
