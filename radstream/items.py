"""What is there to send: DICOM files on disk, as (SOP class, SOP instance, transfer syntax) and their data set's bytes.

Whatever a file is, it becomes one C-STORE request: a receiver that keeps and quarantines it says more than a sender
that skips it.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from producers.dicom_router.header import SOP_CLASS, SOP_INSTANCE, read_header, shown_transfer_syntax
from radstream.errors import Failure
from streams.file_head import HEAD_BYTES, MEDIA_SOP_CLASS, MEDIA_SOP_INSTANCE, split
from streams.identity import EVENT_NAMESPACE
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAX_UID

# What a file is sent as that does not say what it is.
SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"


@dataclass(frozen=True)
class Item:
    """One object to send. `data_set` gives its bytes when they are due, so that few are in memory at once."""

    name: str
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data_set: Callable[[], bytes]


def files_below(paths: Iterable[Path]) -> list[Path]:
    """Each file named, and every file in each folder named, in order of name. Raises Failure for what is not there."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(file for file in path.rglob("*") if file.is_file())
        elif path.is_file():
            found.append(path)
        else:
            raise Failure(f"{path}: no such file or folder")
    return found


def items_of(paths: Iterable[Path]) -> Iterator[Item]:
    """An item for each file. Raises Failure for a file that cannot be opened."""
    for path in files_below(paths):
        try:
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
        except OSError as error:
            raise Failure(f"{path}: cannot be read ({error.strerror}); leave it out or mend its permissions") from None
        yield item_of(path, head)


def item_of(path: Path, head: bytes) -> Item:
    """The item of a file that begins with `head`."""
    meta, start = split(head)
    named = meta.get(TRANSFER_SYNTAX_UID, "")
    header = read_header(memoryview(head)[start:], named or EXPLICIT_VR_LITTLE_ENDIAN)
    return Item(
        name=str(path),
        sop_class=header.uid(SOP_CLASS) or meta.get(MEDIA_SOP_CLASS, "") or SECONDARY_CAPTURE,
        sop_instance=header.uid(SOP_INSTANCE) or meta.get(MEDIA_SOP_INSTANCE, "") or _made_up(path),
        transfer_syntax=named or shown_transfer_syntax(header) or IMPLICIT_VR_LITTLE_ENDIAN,
        data_set=lambda: _read(path, start),
    )


def _made_up(path: Path) -> str:
    """A UID for a file that has none: the same for the same bytes, so that sending twice is harmless."""
    return f"2.25.{uuid.uuid5(EVENT_NAMESPACE, hashlib.sha256(path.read_bytes()).hexdigest()).int}"


def _read(path: Path, start: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read()
