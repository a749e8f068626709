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

from producers.dicom_router.header import SOP_CLASS, SOP_INSTANCE, Header, read_header
from radstream.errors import Failure
from streams.elements import Encoding, Limits, Malformed, TooComplex, Walk
from streams.identity import EVENT_NAMESPACE, uid_is_usable
from streams.part10 import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAX_UID,
)

# What a file is sent as that does not say what it is.
SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
# UIDs stand at the beginning; group 0002 can carry private information of some length before them.
_HEAD_BYTES: Final = 256 << 10
_MEDIA_SOP_CLASS, _MEDIA_SOP_INSTANCE = 0x00020002, 0x00020003
_META_ELEMENTS_MAX: Final = 100


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
                head = file.read(_HEAD_BYTES)
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
        sop_class=header.uid(SOP_CLASS) or meta.get(_MEDIA_SOP_CLASS, "") or SECONDARY_CAPTURE,
        sop_instance=header.uid(SOP_INSTANCE) or meta.get(_MEDIA_SOP_INSTANCE, "") or _made_up(path),
        transfer_syntax=named or _shown(header),
        data_set=lambda: _read(path, start),
    )


def split(head: bytes) -> tuple[dict[int, str], int]:
    """The usable UIDs of group 0002 by tag, and where the data set begins; none and 0 without a file header.

    The group's own length is not to be relied on (PS3.10 section 7.1): its elements are walked through.
    """
    if head[128:132] != b"DICM":
        return {}, 0
    walk = Walk(head, Encoding(explicit=True), Limits(elements=_META_ELEMENTS_MAX))
    try:
        start = walk.group(132, 0x0002)
    except (Malformed, TooComplex):
        start = max((element.end for element in walk.elements.values()), default=132)
    texts = {
        tag: head[element.value_at : element.end].rstrip(b"\x00 ").decode("latin-1")
        for tag, element in walk.elements.items()
    }
    return {tag: text for tag, text in texts.items() if uid_is_usable(text)}, start


def _shown(header: Header) -> str:
    """The transfer syntax that a data set without a file header shows; the default one where it shows none."""
    if not header.uid(SOP_INSTANCE) and not header.uid(SOP_CLASS):
        return IMPLICIT_VR_LITTLE_ENDIAN
    if not header.encoding.explicit:
        return IMPLICIT_VR_LITTLE_ENDIAN
    return EXPLICIT_VR_LITTLE_ENDIAN if header.encoding.byte_order == "little" else EXPLICIT_VR_BIG_ENDIAN


def _made_up(path: Path) -> str:
    """A UID for a file that has none: the same for the same bytes, so that sending twice is harmless."""
    return f"2.25.{uuid.uuid5(EVENT_NAMESPACE, hashlib.sha256(path.read_bytes()).hexdigest()).int}"


def _read(path: Path, start: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read()
