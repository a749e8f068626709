"""A message becomes commands in the log, and then an acknowledgement; never the other way round."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from producers.orders.acknowledgement import ACCEPTED, REJECTED, acknowledgement, code_of
from producers.orders.announcing import Announcer
from producers.orders.config import Settings
from producers.orders.groups import orders_of
from producers.orders.message import BadMessage, Message, read
from producers.orders.order import BadOrder, Order, check
from producers.orders.placed import PlacedOrders
from streams import metrics
from streams.health import Health
from streams.log import LogAway, LogClosed, LogRefused, Producer
from streams.objects import Damaged, StoreAway, StoreRefused
from streams.wire import SchemaIds, encode

_TYPES = frozenset((("OMI", "O23"), ("ORM", "O01")))
_INVALID, _UNKNOWN, _INTERNAL = "102", "204", "207"
_NOTHING_TO_CANCEL = (
    "there is no such order to cancel: say accession number, issuer and requested procedure ID as it was placed with"
)
_AWAY = "the order could not be kept; send it again"
_REFUSED = "the store takes no such order; sending it again does not help"
_UNREADY_S = 5.0
# One message at a time: while it is read it takes many times its size.
_READING = threading.Lock()


@dataclass
class Receiver:
    """Used from the threads of all connections at once."""

    announcer: Announcer
    placed: PlacedOrders
    producer: Producer
    ids: SchemaIds
    health: Health
    settings: Settings
    source: str
    failed_at: float | None = field(default=None, init=False)

    def answer(self, data: bytes, peer: str) -> bytes:
        """The acknowledgement of a message. Whatever fails, nothing is accepted that is not in the log."""
        error, text = "", ""
        try:
            self._keep(data, peer)
        except BadMessage as bad:
            error, text = bad.code, bad.text
        except BadOrder as bad:
            error, text = _INVALID, str(bad)
        except (LogAway, LogRefused, TimeoutError, StoreAway, Damaged) as failed:
            error, text = _INTERNAL, _AWAY
            self._failed(failed, peer)
        except StoreRefused as refused:
            error, text = _INTERNAL, _REFUSED
            structlog.get_logger().error("order_refused", peer=peer, reason=str(refused))
        except Exception:  # noqa: BLE001 - said by type and place; its text may quote a name
            error, text = _INTERNAL, "the message could not be understood"
            structlog.get_logger().error("message_failed", peer=peer, exc_info=True)
        return self.told(data, peer, error, text)

    def told(self, data: bytes, peer: str, error: str, text: str) -> bytes:
        """The acknowledgement itself; `error` is of table 0357, empty for none."""
        code = code_of(error) if error else ACCEPTED
        metrics.HL7_ANSWERS.labels(code).inc()
        structlog.get_logger().info("message_answered", peer=peer, code=code, error=error)
        return acknowledgement(data, code, self.announcer.clock.now(), self.announcer.site.site, error, text)

    def settle(self) -> None:
        """Readiness says yes again some seconds after the last failure: without traffic, nothing else would."""
        if self.failed_at is not None and self.announcer.clock.monotonic() - self.failed_at > _UNREADY_S:
            self.failed_at = None
            self.health.ready("commit", True)

    def _keep(self, data: bytes, peer: str) -> None:
        """All of a message's orders, or none is accepted; what is sent again is the same events."""
        said_as = hashlib.sha256(data).hexdigest()
        orders = self._of_ours(self._orders(data), peer)
        for order in orders.values():
            self._check_cancelled(order, peer)
        events = [self.announcer.event(order, f"{said_as}/{at}", f"hl7 {peer}") for at, order in orders.items()]
        for event in events:
            self.placed.learn(event)
        sent = [self.producer.send(encode(event, self.ids, source=self.source)) for event in events]
        for one in sent:
            one.result(timeout=self.settings.commit_timeout_s)

    def _orders(self, data: bytes) -> list[Order]:
        """Raises BadMessage."""
        with _READING:
            message = read(data)
            _check_head(message)
            return orders_of(message, self.settings)

    def _of_ours(self, orders: Sequence[Order], peer: str) -> dict[int, Order]:
        """By place in the message, all but what is completed and is no order here: a RIS tells of all its orders.

        Raises BadOrder, LogAway.
        """
        stated = {self.announcer.order_id(order) for order in orders if order.action in ("placed", "changed")}
        ours: dict[int, Order] = {}
        for at, order in enumerate(orders):
            named = self.announcer.order_id(order)
            if order.action != "completed" or named in stated or self._is_placed(order):
                ours[at] = order
            else:
                structlog.get_logger().info("nothing_to_complete", peer=peer, order_id=named)
        return ours

    def _check_cancelled(self, order: Order, peer: str) -> None:
        """What is named in full and is not here may have been placed before there was a radstream, elsewhere.

        Raises BadMessage, BadOrder, LogAway.
        """
        if order.action != "cancelled" or self._is_placed(order):
            return
        if not order.in_full:
            raise BadMessage(_UNKNOWN, _NOTHING_TO_CANCEL)
        # What is placed after it stands: by its pseudonym it can be found.
        structlog.get_logger().warning("nothing_to_cancel", peer=peer, order_id=self.announcer.order_id(order))

    def _is_placed(self, order: Order) -> bool:
        """Raises BadOrder, LogAway."""
        check(order)
        try:
            return self.placed.has(self.announcer.order_id(order))
        except LogClosed as error:
            # A site whose ACLs are older: that an order is cancelled matters more than that nothing was.
            structlog.get_logger().warning("cancellation_not_checked", reason=str(error))
            return True

    def _failed(self, error: Exception, peer: str) -> None:
        self.failed_at = self.announcer.clock.monotonic()
        self.health.ready("commit", False, f"an order could not be kept; the sender is told to try again ({REJECTED})")
        structlog.get_logger().error("order_not_kept", peer=peer, error=error)


def _check_head(message: Message) -> None:
    head = message.head
    if (head.text(9, 1), head.text(9, 2)) not in _TYPES:
        raise BadMessage("200", "only OMI^O23 and ORM^O01 are taken")
    if not head.text(12).startswith("2."):
        raise BadMessage("203", "only HL7 v2 is taken")
    if head.text(11) not in ("P", ""):
        raise BadMessage("202", "only messages for production (MSH-11 P) are taken")
    if not head.text(10):
        raise BadMessage("101", "there is no message control ID (MSH-10)")
