"""The stored bytes of an instance, as they can be sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from streams import part10
from streams.config import Section
from streams.elements import Malformed, TooComplex
from streams.events import Instance, InstanceValidated
from streams.fetching import fetched
from streams.identity import uid_is_usable
from streams.mapped import File
from streams.objects import ObjectStore
from streams.part10 import Part10
from streams.reading_large import joined
from streams.recoding.native import Unrecodable, parts_of
from streams.step import DeadLetter, Quarantine, RetryLater

Data = bytes | memoryview

_MEDIA_STORAGE_CLASS, _MEDIA_STORAGE_INSTANCE = 0x00020002, 0x00020003


class Limits(Section, frozen=True, kw_only=True):
    """What is sent (`object_bytes_max`), and what is written anew for who does not take it as it is."""

    frame_bytes_max: int = 128 << 20
    pixel_bytes_max: int = 1 << 30
    object_bytes_max: int = 4 << 30


@dataclass(frozen=True)
class Stored:
    """`file` is None where the data set cannot be walked through: then it can be sent as it is alone.

    What is written anew and large goes into a file in `folder` (`streams.reading_large.joined`).
    """

    data: File
    start: int
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    file: Part10 | None
    folder: Path | None = None

    def data_set(self, transfer_syntax: str, limits: Limits) -> Data:
        """Raises Unrecodable, NoRoom."""
        if transfer_syntax == self.transfer_syntax:
            return memoryview(self.data)[self.start :]
        if self.file is None:
            raise Unrecodable("unreadable")
        parts = parts_of(
            self.file,
            transfer_syntax,
            frame_bytes_max=limits.frame_bytes_max,
            pixel_bytes_max=limits.pixel_bytes_max,
        )
        return memoryview(joined(parts, self.folder))


def read(store: ObjectStore, event: InstanceValidated, bytes_max: int) -> Stored | RetryLater | DeadLetter:
    """Wherever a copy is by now. A damaged one is nothing to send: whoever looks after copies will find it."""
    if event.object.length > bytes_max:
        return DeadLetter("It is larger than this service sends (object_bytes_max).")
    data = fetched(store, event.object)
    if isinstance(data, RetryLater):
        return data
    if isinstance(data, Quarantine):
        return DeadLetter(data.detail)
    return of_file(data, event.instance, store.objects_folder)


def of_file(data: File, instance: Instance, folder: Path | None = None) -> Stored | DeadLetter:
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
    return Stored(data, start, sop_class, sop_instance, transfer_syntax, _walked(data), folder)


def _walked(data: File) -> Part10 | None:
    try:
        return part10.read(data)
    except (Malformed, TooComplex):
        return None
