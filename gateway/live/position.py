"""Where a listener is in the log: the next offset of every partition, as one `Last-Event-ID`."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from streams.log import TopicPartition

_BYTES_MAX = 16 << 10


class BadPosition(Exception):
    """It is not an id that this gateway gave, or its topics are not those any more."""


class Positions:
    """Ids for a fixed list of partitions. A topic that was made anew has another id, and so have its positions."""

    def __init__(self, partitions: Sequence[TopicPartition], topic_ids: Mapping[str, str]) -> None:
        self.partitions = tuple(partitions)
        named = [(name.topic, name.partition, topic_ids[name.topic]) for name in self.partitions]
        self._mark = hashlib.sha256(msgspec.json.encode(named)).digest()[:6]

    def id_of(self, offsets: Mapping[TopicPartition, int]) -> str:
        packed = msgspec.msgpack.encode((self._mark, [offsets[name] for name in self.partitions]))
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def read(self, text: str) -> dict[TopicPartition, int]:
        """Raises BadPosition."""
        if len(text) > _BYTES_MAX:
            raise BadPosition
        try:
            packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            mark, offsets = msgspec.msgpack.decode(packed, type=tuple[bytes, list[int]])
        except (ValueError, binascii.Error, msgspec.MsgspecError):
            raise BadPosition from None
        if mark != self._mark or len(offsets) != len(self.partitions) or min(offsets, default=0) < 0:
            raise BadPosition
        return dict(zip(self.partitions, offsets, strict=True))
