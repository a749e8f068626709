"""The distilled tables, read once, and an IOD's part of them, prepared when an instance of it comes."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec

Condition = list[Any]
TYPES = ("1", "1C", "2", "2C", "3")


class Row(NamedTuple):
    """One attribute of a level. `items` is what each of its items has: a level's number, or -1 where it has none.

    Where `forbidden` holds, it must not be there; where `is_single` it has one item at most.
    """

    tag: int
    type: str
    items: int
    condition: Condition | None
    forbidden: Condition | None = None
    is_single: bool = False


class Level(NamedTuple):
    """What a data set or an item has. Attributes of Type 3 without items of their own are in `tags` alone."""

    rows: tuple[Row, ...]
    tags: frozenset[int]


@dataclass(frozen=True)
class Module:
    """`usage` is M, C or U; N is what is there by its condition alone, O what others than the standard ask for."""

    title: str
    section: str
    entity: str
    usage: str
    condition: Condition | None
    level: int
    # Tags that no other module of the IOD has: one of them says that an optional module is there.
    own: frozenset[int]
    # All of it is of one overlay, and there may be sixteen (PS3.5 section 7.6).
    repeats: bool


@dataclass(frozen=True)
class Macro:
    """A functional group macro; `usage` is empty where the tables do not say."""

    sequence: int
    title: str
    section: str
    usage: str
    condition: Condition | None
    row: Row


@dataclass(frozen=True)
class Iod:
    name: str
    modules: tuple[Module, ...]
    macros: tuple[Macro, ...]
    # Tags whose type in a special module holds, and not that of the general ones.
    overruled: frozenset[int]
    # Tags that others than the standard ask for, with a value.
    of_others: tuple[int, ...]


class _Packed(msgspec.Struct, frozen=True):
    sops: dict[str, int]
    iods: list[
        tuple[str, list[tuple[int, int, int]], list[tuple[int, int, int, int, int, str, str]], list[int], list[int]]
    ]
    modules: list[tuple[str, str, str, int, list[int], list[int]]]
    sets: list[list[tuple[int, int, int, int, int]]]
    conditions: list[Any]


@lru_cache(maxsize=1)
def _packed() -> _Packed:
    data = files(__package__).joinpath("tables.bin").read_bytes()
    return msgspec.msgpack.decode(zlib.decompress(data), type=_Packed)


@lru_cache(maxsize=8192)
def level(number: int) -> Level:
    packed = _packed()
    rows = tuple(
        Row(
            *(tag, TYPES[kind % len(TYPES)], number if items == -2 else items),
            *(_condition(asked), _condition(forbidden), kind >= len(TYPES)),
        )
        for tag, kind, items, asked, forbidden in packed.sets[number]
    )
    asking = tuple(row for row in rows if row.type != "3" or row.items >= 0 or row.is_single or row.forbidden)
    return Level(asking, frozenset(row.tag for row in rows))


@lru_cache(maxsize=256)
def iod(sop_class_uid: str) -> Iod | None:
    """What a SOP class wants; None where the tables do not have it."""
    packed = _packed()
    if sop_class_uid not in packed.sops:
        return None
    name, members, groups, overruled, of_others = packed.iods[packed.sops[sop_class_uid]]
    often = Counter(tag for number, *_ in members for tag in level(packed.modules[number][3]).tags)
    return Iod(
        name,
        tuple(_module(packed, number, usage, asked, often) for number, usage, asked in members),
        tuple(_macro(*group) for group in groups),
        frozenset(overruled),
        tuple(of_others),
    )


def _module(packed: _Packed, number: int, usage: int, asked: int, often: Mapping[int, int]) -> Module:
    title, section, entity, of, signs, strays = packed.modules[number]
    own = frozenset(signs or (tag for tag in level(of).tags.difference(strays) if often[tag] == 1))
    return Module(title, section, entity, "MCUNO"[usage], _condition(asked), of, own, _is_overlay(level(of).tags))


def _is_overlay(tags: frozenset[int]) -> bool:
    return all(tag >> 16 == 0x6000 for tag in tags)


def _macro(sequence: int, usage: int, asked: int, of: int, kind: int, title: str, section: str) -> Macro:
    row = Row(sequence, TYPES[kind], of, None)
    return Macro(sequence, title, section, ("M", "C", "U", "")[usage], _condition(asked), row)


def _condition(number: int) -> Condition | None:
    return None if number < 0 else _packed().conditions[number]
