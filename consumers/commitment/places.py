"""Which copies count as copies of their own: section [copies], which says where the bytes of each store lie.

All buckets are behind one endpoint, and nothing here sees behind it: that two of them do not burn together, only the
site can say. What it has not said is no promise to somebody who deletes upon it (docs/decisions/0086).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from streams.config import Config, ConfigError, Section, Store

SECTION: Final = "copies"
_ORIGINALS: Final = "hot"


class Copies(Section, frozen=True, kw_only=True):
    """`places` names, by store, what is lost at once: disks, a room, a site. Stores without an entry are in one place
    together, beside those that are named: so once that of the originals has one, every store needs one. `in_one_place`
    says that copies count wherever they are, as on a stack that only shows: not independent.
    """

    places: dict[str, str] = msgspec.field(default_factory=dict)
    in_one_place: bool = False

    def __post_init__(self) -> None:
        if self.in_one_place and self.places:
            raise ValueError("in_one_place counts copies wherever they are, and places says where: only one of the two")


def read(config: Config) -> Copies:
    """Raises ConfigError."""
    return config.section(SECTION, Copies) if SECTION in config.names else Copies()


def of_stores(config: Config, promised: int) -> Mapping[str, str]:
    """By store, what its copies count as: of several with one value, one counts.

    Raises ConfigError where so many copies that are `promised` could never count, and where a store that was forgotten
    would count as a place of its own.
    """
    stores, copies = config.section("store", Store).buckets, read(config)
    if copies.in_one_place:
        return {name: name for name in stores}
    if unknown := set(copies.places) - set(stores):
        raise ConfigError(f"{config.path}: [copies.places] names {', '.join(sorted(unknown))}, which is no store")
    forgotten = [name for name in stores if not copies.places.get(name)]
    if _ORIGINALS not in forgotten and forgotten:
        raise ConfigError(
            f"{config.path}: [copies.places] names {_ORIGINALS} and not {', '.join(forgotten)}: with the store of "
            f"originals named, every store needs an entry, the same as {_ORIGINALS} has where it shares disks or room"
        )
    places = {name: copies.places.get(name, "") for name in stores}
    known = len(set(places.values()))
    if known < promised:
        raise ConfigError(
            f"{config.path}: [commitment] promises copies in {promised} places, and the stores are in {known} as far "
            "as [copies] says; name what does not share disks and room with the others, [copies.places] "
            'backup = "...", or say that copies count all the same, [copies] in_one_place = true'
        )
    return places
