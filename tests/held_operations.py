"""One association in this process whose operations end when a test says so."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from producers.dicom_router.arrival import SUCCESS
from producers.dicom_router.data_set import DataSet, Room
from producers.dicom_router.object_buffer import Budget, BufferPool
from producers.dicom_router.operations import Echo
from producers.dicom_router.reading_ahead import ReadingAhead
from producers.dicom_router.upper_layer import command_set
from producers.dicom_router.upper_layer.associate_rq import Requested
from producers.dicom_router.upper_layer.association import Association
from producers.dicom_router.upper_layer.connection import Connection
from producers.dicom_router.upper_layer.limits import Limits
from producers.dicom_router.upper_layer.messages import Pace, Request
from producers.dicom_router.upper_layer.pdu import Violation
from producers.dicom_router.workers import Workers
from streams.store_scu import Target
from tests.raw_peer import RawPeer, associate_rq, item, p_data, pdv, store_rq

MIB = 1 << 20
# The "status" of an operation that raises.
MISTAKE = -1
PATIENCE_S = 60.0
LIMITS = Limits(set_up_s=30.0, pace=Pace(30.0, 1024), association_s=60.0, pdu_bytes_max=16_384)


def windowed(invoked: int, performed: int = 1) -> bytes:
    """An A-ASSOCIATE-RQ that asks for a window."""
    window = invoked.to_bytes(2, "big") + performed.to_bytes(2, "big")
    return associate_rq(user=item(0x51, (16_384).to_bytes(4, "big")) + item(0x53, window))


def store(message_id: int, instance: str = "", data: bytes = bytes(300)) -> bytes:
    """A C-STORE of an instance of its own, unless one is named."""
    request = store_rq(instance or f"1.2.3.{message_id}", message_id=message_id)
    return p_data(pdv(request, command=True), pdv(data))


@dataclass
class Held:
    """C-STOREs that go on until they are let go, by their message IDs. Implements `messages.Operation`.

    `begun` are those that were performed at all, in order, `ended` those that are over.
    """

    room: Room
    response: int = command_set.C_STORE_RSP
    begun: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    _verdicts: dict[int, int] = field(default_factory=dict)
    _all: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def sink(self, request: Request) -> DataSet:
        return DataSet(self.room, "1.2", "1.2", "1.2")

    def answer(self, request: Request, sink: DataSet) -> int:
        number = request.command.message_id
        with self._changed:
            self.begun.append(number)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._all or number in self._verdicts, PATIENCE_S)
            status = self._verdicts.pop(number, SUCCESS)
            self.ended.append(number)
        sink.done(reusable=True)
        if status is MISTAKE:
            raise RuntimeError("nobody planned this one")
        return status

    def let_go(self, number: int, status: int = SUCCESS) -> None:
        with self._changed:
            self._verdicts[number] = status
            self._changed.notify_all()

    def let_all_go(self) -> None:
        """Those to come, too."""
        with self._changed:
            self._all = True
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Until so many have begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.begun) >= count, PATIENCE_S), self.begun


@dataclass
class Running:
    """An association. `how` is how it ended, when it has."""

    peer: RawPeer
    held: Held
    budget: Budget
    thread: threading.Thread
    how: list[str] = field(default_factory=list)
    place_given_back: threading.Event = field(default_factory=threading.Event)

    def take(self, requested: Requested) -> None:
        return None

    def give_back(self) -> None:
        self.place_given_back.set()

    def ended(self) -> str:
        """Once the peer has nothing more to say."""
        with suppress(OSError):
            self.peer.socket.shutdown(socket.SHUT_WR)
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        return self.how[0]


WORKERS = Workers("held")


@contextmanager
def held_association(
    operations_max: int, request: bytes | None = None, limits: Limits = LIMITS, memory_bytes: int = 64 * MIB
) -> Iterator[Running]:
    """Established by `request`, which asks for any number of operations unless it is given."""
    budget = Budget(memory_bytes)
    pool = BufferPool(budget)
    held = Held(Room(MIB, pool, Budget(0)))
    operations = {command_set.C_ECHO_RQ: Echo(), command_set.C_STORE_RQ: held}
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = RawPeer(Target("", *server.getsockname()))
        accepted = server.accept()[0]
    connection = Connection(accepted)
    connection.prepare()

    def run() -> None:
        try:
            running.how.append(association.run())
        except Violation:
            running.how.append("aborted")
        except (RuntimeError, OSError):
            running.how.append("failed")
        finally:
            connection.close()

    running = Running(peer, held, budget, threading.Thread(target=run))
    association = Association(connection, limits, operations, running, ReadingAhead(operations_max, pool, WORKERS))
    running.thread.start()
    with peer:
        try:
            peer.associated(request or windowed(0))
            yield running
        finally:
            held.let_all_go()
            with suppress(OSError):
                peer.socket.shutdown(socket.SHUT_WR)
            running.thread.join(PATIENCE_S)
    assert not running.thread.is_alive()
