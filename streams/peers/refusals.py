"""Refused associations and handshakes: each is counted, and in the log's audit, and a flood of them floods neither.

The first of a kind (who, from where, why) is logged at once. Audit events are written once a second by the service's
main loop; of a kind that goes on, one a minute, saying how many it stands for. While the log is away they wait, and the
loop does not: an event that the log has not acknowledged is written again as it is, so it counts once however often it
comes.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Final

import structlog

from streams import metrics
from streams.clock import Clock
from streams.log import Delivery, Producer
from streams.networks import counted_as
from streams.peers.peer import Why
from streams.wire import Message

_WINDOW_S: Final = 60.0
# At the end of the service: for those that are on their way.
_END_S_MAX: Final = 5.0
# So many kinds at once, and so many of one address (of IPv6, one /64); what is beyond counts as of anybody.
_KINDS_MAX, _KINDS_PER_ADDRESS_MAX = 64, 8
# Connections that nothing is read of.
_NO_ROOM: Final = {
    Why.ADDRESS: "the peers file lets nobody in from there by that port, and as many wait to be told so as may",
    Why.LIMIT: "there are as many connections as there may be: of all, or of this address",
}
ANYBODY: Final = "*"
NOBODY_YET: Final = "?"


@dataclass(frozen=True)
class Kind:
    """`action` is association.refused, tls.refused, stow.refused, or connection.refused where nothing was read of it.
    `actor` is the calling AE title as it was claimed, else NOBODY_YET.
    """

    action: str
    actor: str
    address: str
    why: str


@dataclass
class _Event:
    """An audit event on its way, and what became of it when it was sent last."""

    message: Message
    sent: Future[Delivery]

    @property
    def error(self) -> BaseException | None:
        return self.sent.exception() if self.sent.done() else None

    @property
    def is_written(self) -> bool:
        return self.sent.done() and self.error is None


@dataclass
class _Account:
    """`told` is how many of `count` audit events have, `said_at` when the last of them was made, `open` those that the
    log has not acknowledged. `peer` is whose it is (`networks.counted_as`).
    """

    sentence: str
    peer: str
    count: int = 0
    told: int = 0
    said_at: float | None = None
    open: list[_Event] = field(default_factory=list)


# Makes the audit event: the kind, a sentence, and how many.
Made = Callable[[Kind, str, int], Message]


class Refusals:
    """`note` is called from the threads of all associations, `publish` from one."""

    def __init__(self, made: Made, producer: Producer, clock: Clock) -> None:
        self._made = made
        self._producer = producer
        self._clock = clock
        self._lock = threading.Lock()
        self._accounts: dict[Kind, _Account] = {}

    def note(self, kind: Kind, sentence: str, **fields: object) -> None:
        """Somebody was refused. `fields` are for the line of the log alone."""
        with self._lock:
            kept, peer = self._kept(kind)
            is_new = kept not in self._accounts
            self._accounts.setdefault(kept, _Account(sentence, peer)).count += 1
        if is_new:
            structlog.get_logger().warning(
                kept.action.replace(".", "_"),
                peer=kept.address,
                calling_ae=kept.actor,
                why=kept.why,
                reason=sentence,
                **fields,
            )

    def no_handshake(self, address: str, why: str, sentence: str) -> None:
        """Nobody came in by TLS, for lack of a handshake that we could take."""
        self.note(Kind("tls.refused", NOBODY_YET, address, why), sentence)

    def no_room(self, address: str, *, is_stranger: bool) -> None:
        """A connection was closed at once."""
        metrics.CONNECTIONS_REFUSED.inc()
        why = Why.ADDRESS if is_stranger else Why.LIMIT
        self.note(Kind("connection.refused", NOBODY_YET, address, why.value), _NO_ROOM[why])

    def publish(self, *, all_of_it: bool = False) -> None:
        """Writes the audit events that are due: of new kinds, and of those whose minute is over (or `all_of_it`, which
        waits for the log for a while)."""
        accounts = self._snapshot()
        for kind, account in accounts.items():
            for event in account.open:
                if event.error is not None:
                    event.sent = self._producer.send(event.message)
            if account.count > account.told and (all_of_it or self._is_due(account)):
                self._write(kind, account)
        if all_of_it:
            wait([event.sent for account in accounts.values() for event in account.open], timeout=_END_S_MAX)
        self._settle(accounts, at_the_end=all_of_it)
        self._forget()

    def _is_due(self, account: _Account) -> bool:
        if account.open:
            return False
        return account.said_at is None or self._clock.monotonic() - account.said_at >= _WINDOW_S

    def _write(self, kind: Kind, account: _Account) -> None:
        count = account.count
        message = self._made(kind, account.sentence, count - account.told)
        account.told, account.said_at = count, self._clock.monotonic()
        account.open.append(_Event(message, self._producer.send(message)))

    def _settle(self, accounts: Mapping[Kind, _Account], *, at_the_end: bool) -> None:
        """Lets go of what the log has, and says that there is something that it did not take."""
        for account in accounts.values():
            account.open = [event for event in account.open if not event.is_written]
        left = [event for account in accounts.values() for event in account.open]
        errors = [event.error for event in left if event.error is not None]
        if errors or (at_the_end and left):
            said = errors[0] if errors else "no acknowledgement"
            structlog.get_logger().error("refusals_not_audited", error=said, events=len(left))

    def _snapshot(self) -> Mapping[Kind, _Account]:
        with self._lock:
            return dict(self._accounts)

    def _forget(self) -> None:
        """Those that were quiet for a minute: the next of them is new."""
        with self._lock:
            accounts = self._accounts.items()
            over = [kind for kind, account in accounts if account.count == account.told and self._is_due(account)]
            for kind in over:
                del self._accounts[kind]

    def _kept(self, kind: Kind) -> tuple[Kind, str]:
        """The kind that it is counted as, and whose: itself, or anybody where there are too many."""
        peer = counted_as(kind.address)
        if kind in self._accounts:
            return kind, peer
        if Counter(account.peer for account in self._accounts.values())[peer] >= _KINDS_PER_ADDRESS_MAX:
            kind = Kind(kind.action, ANYBODY, peer, kind.why)
        if len(self._accounts) >= _KINDS_MAX and kind not in self._accounts:
            kind, peer = Kind(kind.action, ANYBODY, ANYBODY, kind.why), ANYBODY
        return kind, peer
