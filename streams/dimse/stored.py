"""The stored bytes of an instance, as they can be sent."""

from __future__ import annotations

from dataclasses import dataclass

from streams import part10
from streams.config import Section
from streams.elements import Malformed, TooComplex
from streams.events import Instance, InstanceValidated
from streams.fetching import fetched
from streams.identity import uid_is_usable
from streams.objects import ObjectStore
from streams.part10 import Part10
from streams.recoding.native import Unrecodable, recoded
from streams.step import DeadLetter, Quarantine, RetryLater

Data = bytes | memoryview

_MEDIA_STORAGE_CLASS, _MEDIA_STORAGE_INSTANCE = 0x00020002, 0x00020003


class Limits(Section, frozen=True, kw_only=True):
    """What is taken into memory (`object_bytes_max`), and what is written anew for who does not take it as it is."""

    frame_bytes_max: int = 128 << 20
    pixel_bytes_max: int = 1 << 30
    object_bytes_max: int = 4 << 30


@dataclass(frozen=True)
class Stored:
    """`file` is None where the data set cannot be walked through: then it can be sent as it is alone."""

    data: bytes
    start: int
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    file: Part10 | None

    def data_set(self, transfer_syntax: str, limits: Limits) -> Data:
        """Raises Unrecodable."""
        if transfer_syntax == self.transfer_syntax:
            return memoryview(self.data)[self.start :]
        if self.file is None:
            raise Unrecodable("unreadable")
        return recoded(
            self.file,
            transfer_syntax,
            frame_bytes_max=limits.frame_bytes_max,
            pixel_bytes_max=limits.pixel_bytes_max,
        )


def read(store: ObjectStore, event: InstanceValidated, bytes_max: int) -> Stored | RetryLater | DeadLetter:
    """Wherever a copy is by now. A damaged one is nothing to send: whoever looks after copies will find it."""
    if event.object.length > bytes_max:
        return DeadLetter("It is larger than this service takes into memory (object_bytes_max).")
    data = fetched(store, event.object)
    if isinstance(data, RetryLater):
        return data
    if isinstance(data, Quarantine):
        return DeadLetter(data.detail)
    return of_file(data, event.instance)


def of_file(data: bytes, instance: Instance) -> Stored | DeadLetter:
    try:
        meta, start = part10.file_meta(data)
    except (Malformed, TooComplex):
        return DeadLetter("Its file header cannot be read.")
    sop_class = instance.sop_class_uid or meta.get(_MEDIA_STORAGE_CLASS, "")
    sop_instance = instance.sop_instance_uid or meta.get(_MEDIA_STORAGE_INSTANCE, "")
    transfer_syntax = meta.get(part10.TRANSFER_SYNTAX_UID, "")
    # One that no association can be asked for would spoil those of all the others.
    if not all(uid_is_usable(uid) for uid in (sop_class, sop_instance, transfer_syntax)):
        return DeadLetter("It names no SOP class, instance or transfer syntax that a C-STORE could name.")
    return Stored(data, start, sop_class, sop_instance, transfer_syntax, _walked(data))


def _walked(data: bytes) -> Part10 | None:
    try:
        return part10.read(data)
    except (Malformed, TooComplex):
        return None
