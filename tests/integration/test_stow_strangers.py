"""STOW-RS and the listener for orders: who may not send is closed at once, and takes none of the room of who may."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from tests.hl7_messages import OMI
from tests.listeners import running_listener
from tests.secured import audited
from tests.stow import file_of, running_stow
from tests.waiting import wait_until

HERE = {"addresses": ("127.0.0.1/32",)}
STRANGERS = [f"127.0.0.{number}" for number in range(2, 12)]


@contextmanager
def held(port: int, sources: list[str]) -> Iterator[None]:
    """Eight connections of each, which say nothing, and stay."""
    with ExitStack() as stack:
        for source in sources * 8:
            # The reset may be there before the connection is.
            with suppress(ConnectionError):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), 30.0, source_address=(source, 0)))
        yield


def test_strangers_take_no_room_of_who_may_send_by_stow() -> None:
    with running_stow({"requests_max": 4, **HERE}) as stow, held(stow.port, STRANGERS):
        assert stow.store(file_of()).status == 200
        assert ("stow.refused", "?", "address") in audited(stow.router)


def test_one_sender_by_stow_leaves_room_for_others_and_what_it_is_refused_is_audited() -> None:
    with running_stow({"requests_max": 4}) as stow, held(stow.port, ["127.0.0.2"]):
        assert stow.store(file_of()).status == 200
        wait_until(lambda: ("stow.refused", "?", "limit") in audited(stow.router), "the refusals in the audit")


def test_strangers_take_no_room_of_who_may_send_orders() -> None:
    with running_listener(connections_max=4, **HERE) as listener, held(listener.port, STRANGERS):
        assert listener.send(OMI)[1].startswith("MSA|AA")


def test_one_sender_of_orders_leaves_room_for_others() -> None:
    with running_listener(connections_max=4) as listener, held(listener.port, ["127.0.0.2"]):
        assert listener.send(OMI)[1].startswith("MSA|AA")
