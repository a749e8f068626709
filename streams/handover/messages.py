"""What two processes say to each other while one takes over from the other.

    newer: Ask ──▶ older: Offer, with a descriptor for each socket, or Refusal
    newer: Ready ──▶ older takes no connection any more: Yours
    newer takes connections: Serving ──▶ older: Done, and ends once its own connections have ended

A service may have several processes on the same sockets: a parent, which takes no connections of the service, and its
members, which it starts. Each goes through the same steps with its parent, at the other end of a pair of sockets:

    parent: Join ──▶ member: Ask ──▶ Offer, Ready, Yours, Serving, Done, as above

and then, while the parent hands over: Pause, Paused, and Resume where nothing comes of it, else Leave. A parent that is
gone has closed the connection.

Who does not get the message that is due knows nothing of the other's state and finds out anew. Each message is a JSON
object in one packet. Fields that the other does not know are skipped, those that it does not send have a default; what
is not to be understood in the old way gets a new number in `speaks`, and both sides go on speaking the older ones.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeVar, overload

import msgspec

# Versions of the protocol, the newest last.
SPEAKS: Final = (1,)
_PACKET_BYTES_MAX: Final = 65_536
_DESCRIPTORS_MAX: Final = 32
_CREDENTIALS: Final = struct.Struct("3i")


class Broken(Exception):
    """The other is gone, does not answer in time, or says what is not understood. The text is for a log."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="say"):
    """Base of all messages."""


class Ask(Message, frozen=True, kw_only=True, tag="ask"):
    """`speaks` are the versions of the protocol, `build` is the version of the code."""

    speaks: tuple[int, ...]
    build: str = ""
    pid: int = 0


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """A listening socket: what it is for, the host that the configuration names, the address that it is bound to."""

    name: str
    host: str
    address: str
    number: int


class Offer(Message, frozen=True, kw_only=True, tag="offer"):
    """`sockets` are in the order of the descriptors. `facts` are what both have to agree in, as far as both know it."""

    speaks: int
    build: str = ""
    pid: int = 0
    sockets: tuple[Offered, ...] = ()
    facts: Mapping[str, str] = {}


class Refusal(Message, frozen=True, kw_only=True, tag="no"):
    why: str = ""


class Ready(Message, frozen=True, kw_only=True, tag="ready"):
    pass


class Yours(Message, frozen=True, kw_only=True, tag="yours"):
    pass


class Serving(Message, frozen=True, kw_only=True, tag="serving"):
    pass


class Done(Message, frozen=True, kw_only=True, tag="done"):
    pass


class Join(Message, frozen=True, kw_only=True, tag="join"):
    """Which member of how many, from 1. The first descriptor is the socket for metrics and health, named in `http`,
    the second a file that all of them map (`shares`)."""

    number: int
    count: int
    http: Offered


class Pause(Message, frozen=True, kw_only=True, tag="pause"):
    pass


class Paused(Message, frozen=True, kw_only=True, tag="paused"):
    pass


class Resume(Message, frozen=True, kw_only=True, tag="resume"):
    pass


class Leave(Message, frozen=True, kw_only=True, tag="leave"):
    """Another process serves now: what this one has begun comes to its end, and it ends."""


M = TypeVar("M", bound=Message)
N = TypeVar("N", bound=Message)
T = TypeVar("T", bound=Message)
_ANY = Ask | Offer | Refusal | Ready | Yours | Serving | Done | Join | Pause | Paused | Resume | Leave


class Channel:
    """One end of a connection (AF_UNIX, SOCK_SEQPACKET). `descriptors` are those that came, ours to close."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.descriptors: list[int] = []

    def is_ours(self) -> bool:
        """Whether the other is of the user that we are (SO_PEERCRED, unix(7))."""
        _, user, _ = _CREDENTIALS.unpack(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return bool(user == os.geteuid())

    def say(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Raises Broken."""
        try:
            socket.send_fds(self._socket, [msgspec.json.encode(message)], list(descriptors))
        except OSError as error:
            raise Broken(f"{type(message).__name__} was not taken ({error.strerror})") from None

    @overload
    def hear(self, kind: type[M], /, *, seconds: float | None) -> M: ...

    @overload
    def hear(self, kind: type[M], other: type[N], /, *, seconds: float | None) -> M | N: ...

    @overload
    def hear(self, kind: type[M], other: type[N], third: type[T], /, *, seconds: float | None) -> M | N | T: ...

    def hear(self, *kinds: type[Message], seconds: float | None) -> Message:
        """The next message, which is to be one of `kinds`; None waits for it however long. Raises Broken."""
        wanted = " or ".join(kind.__name__ for kind in kinds)
        try:
            self._socket.settimeout(seconds)
            packet, descriptors, _, _ = socket.recv_fds(
                self._socket, _PACKET_BYTES_MAX, _DESCRIPTORS_MAX, socket.MSG_CMSG_CLOEXEC
            )
            self._socket.settimeout(None)
        except TimeoutError:
            raise Broken(f"no {wanted} in {seconds:g} s") from None
        except OSError as error:
            raise Broken(f"no {wanted} ({error.strerror})") from None
        self.descriptors += descriptors
        if not packet:
            raise Broken(f"closed, where {wanted} was due")
        try:
            message: object = msgspec.json.decode(packet, type=_ANY)
        except msgspec.MsgspecError:
            raise Broken(f"something else than {wanted}") from None
        if not isinstance(message, kinds):
            raise Broken(f"{type(message).__name__} where {wanted} was due")
        return message

    def close(self) -> None:
        """Ends the connection, also where another thread waits for a message."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        while self.descriptors:
            os.close(self.descriptors.pop())
