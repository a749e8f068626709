"""What lossless copies save, counted over every stored copy: less than nothing until originals are released.

The received bytes are the legal original (docs/hospitals.md): a copy is stored beside them, so it takes room. What it
would save is said apart, and never as if it were saved.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from radstream.log_census import LogCensus
from radstream.store_census import StoreCensus


@dataclass(frozen=True)
class Savings:
    """Bytes. `original_copies` are originals in every store, `derived` every object with copies and pictures.

    `saved` is what is stored less for them; `saved_if_released` what would be if every copy of an original gave way to
    its lossless one, which would have to be copied as often.
    """

    received: int
    original_copies: int
    derived: int
    saved: int
    saved_if_released: int

    @property
    def sentence(self) -> str:
        return (
            f"{self.received:,} bytes received, {self.original_copies:,} stored as originals in all stores, "
            f"{self.derived:,} beside them as lossless copies and pictures: {self.saved:+,} bytes saved. "
            f"{self.saved_if_released:+,} if originals were released, which needs a decision of the site"
        )


def savings(log: LogCensus, store: StoreCensus) -> Savings:
    """Of a whole site. Objects of former generations are stored too, and count."""
    copies = Counter(_digest(key) for keys in store.copies.values() for key in keys)
    derived, lossless, instead = sum(store.derived.values()), 0, 0
    for digest, event in log.derivations.items():
        lengths = [one.object.length for one in event.representations if one.kind == "lossless"]
        if lengths and copies[digest]:
            lossless += min(lengths)
            instead += copies[digest] * (event.source_size - min(lengths))
    return Savings(
        received=log.received_bytes,
        original_copies=sum(sum(keys.values()) for keys in store.copies.values()),
        derived=derived,
        saved=-derived,
        saved_if_released=instead - (derived - lossless),
    )


def _digest(key: str) -> str:
    """An original's name ends with its digest, whatever folder it is in."""
    return key.rsplit("/", 1)[-1].removesuffix(".dcm")
