"""The bytes of an instance in a transfer syntax that a peer takes: verified, and under its identity here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from gateway.dimse.selecting import Copy, Wanted
from streams.coercion import Uncoercible, coerced
from streams.dimse.contexts import syntaxes
from streams.dimse.stored import Data, Limits, Stored, of_file
from streams.events import Instance
from streams.fetching import read_copy
from streams.mapped import File
from streams.objects import Absent, Damaged, NoRoom, ObjectStore, StoreAway
from streams.reading_large import held_bytes
from streams.recoding.native import Unrecodable


class Unsent(Exception):
    """This instance cannot be sent. The text is a stable name of why."""


class Lost(Unsent):
    """The receiver was gone before it answered. What it has of the instance nobody knows."""

    def __init__(self) -> None:
        super().__init__("lost")


def offered(one: Wanted) -> tuple[str, ...]:
    """In which transfer syntaxes it can be sent, the best first: as it is stored, else written anew."""
    stored = [copy.transfer_syntax for copy in one.copies]
    return tuple(dict.fromkeys((*stored, *syntaxes(one.original.transfer_syntax))))


class Budget:
    """Bytes in memory at once, of all threads. One that is larger than all of it goes alone.

    `wait_s` is how long one waits for room: receivers that take their time are not to hold up all others for ever.
    """

    def __init__(self, bytes_max: int, wait_s: float) -> None:
        self._bytes_max, self._wait_s = bytes_max, wait_s
        self._taken = 0
        self._freed = threading.Condition()

    @contextmanager
    def room(self, size: int) -> Iterator[None]:
        """Raises Unsent."""
        with self._freed:
            if not self._freed.wait_for(lambda: not self._taken or self._taken + size <= self._bytes_max, self._wait_s):
                raise Unsent("busy")
            self._taken += size
        try:
            yield
        finally:
            with self._freed:
                self._taken -= size
                self._freed.notify_all()


@dataclass(frozen=True)
class Reading:
    """Used from the threads of all associations at once."""

    store: ObjectStore
    limits: Limits
    budget: Budget

    @contextmanager
    def data_set(self, one: Wanted, accepts: Callable[[str], bool]) -> Iterator[tuple[str, Data]]:
        """A transfer syntax that is accepted, and the data set in it. Raises Unsent."""
        chosen = next((syntax for syntax in offered(one) if accepts(syntax)), None)
        if chosen is None:
            raise Unsent("not_accepted")
        copy = next((held for held in one.copies if held.transfer_syntax == chosen), one.original)
        if copy.ref.length > self.limits.object_bytes_max:
            raise Unsent("too_large")
        with self.budget.room(self._size(one, copy, chosen)):
            stored = self._stored(one, copy)
            try:
                yield chosen, stored.data_set(chosen, self.limits)
            except Unrecodable as error:
                raise Unsent(f"not_recodable: {error}") from None
            except NoRoom as error:
                raise _no_room(error) from None

    def _size(self, one: Wanted, copy: Copy, chosen: str) -> int:
        """What it takes in memory. Of what is written anew there are the parts and the whole, codestreams decoded."""
        as_stored = held_bytes(copy.ref.length) * (1 if one.identity is None else 2)
        if copy.transfer_syntax == chosen:
            return as_stored
        return as_stored + 2 * max(copy.ref.length, min(one.pixel_bytes, self.limits.pixel_bytes_max))

    def _stored(self, one: Wanted, copy: Copy) -> Stored:
        try:
            # What is archived may take hours to answer.
            data = self._as_shown(one, read_copy(self.store, copy.ref, without=self.store.archived))
        except Absent:
            raise Unsent("absent") from None
        except Damaged:
            raise Unsent("damaged") from None
        except NoRoom as error:
            raise _no_room(error) from None
        except StoreAway:
            raise Unsent("store_away") from None
        stored = of_file(data, _named(one, copy), self.store.objects_folder)
        if not isinstance(stored, Stored):
            raise Unsent("unreadable")
        return stored

    def _as_shown(self, one: Wanted, data: File) -> File:
        """Under its identity here. Raises Unsent, NoRoom."""
        if one.identity is None:
            return data
        if not one.identity.values:
            raise Unsent("identity_erased")
        try:
            return coerced(data, one.identity.values, one.identity.issuer, one.identity.at, self.store.objects_folder)
        except Uncoercible:
            raise Unsent("not_coercible") from None


def _no_room(error: NoRoom) -> Unsent:
    structlog.get_logger().error("no_room", reason=str(error))
    return Unsent("no_room")


def _named(one: Wanted, copy: Copy) -> Instance:
    return Instance(
        study_uid=one.study_uid,
        series_uid="",
        sop_instance_uid=one.sop_instance,
        sop_class_uid=one.sop_class,
        transfer_syntax_uid=copy.transfer_syntax,
        digest=one.digest,
    )


def contexts_of(wanted: Sequence[Wanted], contexts_max: int) -> list[tuple[str, str]]:
    """SOP class and transfer syntax of each that comes first, as many as an association has room for."""
    found: dict[tuple[str, str], None] = {}
    for one in wanted:
        added = [(one.sop_class, syntax) for syntax in offered(one) if (one.sop_class, syntax) not in found]
        if len(found) + len(added) > contexts_max:
            break
        found |= dict.fromkeys(added)
    return list(found)
