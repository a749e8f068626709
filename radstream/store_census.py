"""What the bucket holds, by kind of object."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.objects import ObjectStore

HOT = "hot"


@dataclass
class StoreCensus:
    """Sizes in bytes by object key."""

    originals: dict[str, int] = field(default_factory=dict)
    derived: dict[str, int] = field(default_factory=dict)
    protected: dict[str, int] = field(default_factory=dict)
    checkpoints: dict[str, int] = field(default_factory=dict)
    other: dict[str, int] = field(default_factory=dict)

    def by_kind(self) -> dict[str, dict[str, int]]:
        return {
            "originals": self.originals,
            "derived": self.derived,
            "protected": self.protected,
            "checkpoints": self.checkpoints,
            "other": self.other,
        }


def census_of(store: ObjectStore, tenant: str) -> StoreCensus:
    """Lists every object of a tenant. Raises StoreAway."""
    census = StoreCensus()
    kinds = {
        "studies": census.originals,
        "unkeyed": census.originals,
        "derived": census.derived,
        "protected": census.protected,
        "checkpoints": census.checkpoints,
    }
    for key, size in store.keys(HOT, f"{tenant}/"):
        kind = key.split("/", 2)[1]
        kinds.get(kind, census.other)[key] = size
    return census
