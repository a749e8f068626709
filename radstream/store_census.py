"""What the stores hold, by kind of object."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from streams.identity import ORIGINALS
from streams.objects import ObjectStore

# What is no original is written into the hot store and stays there.
HOT = "hot"


@dataclass
class StoreCensus:
    """Sizes in bytes by object key. An original is counted once, in whatever stores it is; `copies` says in which."""

    originals: dict[str, int] = field(default_factory=dict)
    derived: dict[str, int] = field(default_factory=dict)
    protected: dict[str, int] = field(default_factory=dict)
    checkpoints: dict[str, int] = field(default_factory=dict)
    other: dict[str, int] = field(default_factory=dict)
    copies: dict[str, dict[str, int]] = field(default_factory=dict)
    """Originals by store."""

    def by_kind(self) -> dict[str, dict[str, int]]:
        return {
            "originals": self.originals,
            "derived": self.derived,
            "protected": self.protected,
            "checkpoints": self.checkpoints,
            "other": self.other,
        }

    def held(self) -> set[tuple[str, str]]:
        """Store and key of every copy of an original."""
        return {(store, key) for store, keys in self.copies.items() for key in keys}


def census_of(store: ObjectStore, tenant: str, stores: Iterable[str] = (HOT,)) -> StoreCensus:
    """Lists every object of a tenant in each of `stores`. Raises StoreAway."""
    census = StoreCensus()
    kinds = {"derived": census.derived, "protected": census.protected, "checkpoints": census.checkpoints}
    for name in stores:
        copies = census.copies[name] = {}
        for key, size in store.keys(name, f"{tenant}/"):
            kind = key.split("/", 2)[1]
            if kind in ORIGINALS:
                census.originals[key] = copies[key] = size
            else:
                kinds.get(kind, census.other)[key] = size
    return census
