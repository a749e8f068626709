"""What a client accepts, and the first of what we have that it does (RFC 9110 section 12.5.1, PS3.18 section 8.7)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from starlette.requests import Request

MULTIPART = "multipart/related"
ANY = "*"

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - the grammar's name
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_RANGE = re.compile(rf"\s*({_TOKEN}/{_TOKEN})")
# A value with a slash has to be quoted, and many clients forget it: type=application/dicom.
_PARAMETER = re.compile(rf"\s*;\s*({_TOKEN})\s*=\s*({_QUOTED}|[^\s;,\"]+)")
_REST = re.compile(r"[^,]*(?:,|\Z)")
_RANGES_MAX = 64
# What clients accept is of a few kinds, and each asks with the same words again and again.
_REMEMBERED = 256


@dataclass(frozen=True)
class Range:
    """One media range. Of its parameters it has those that choose: who sends thousands of others is remembered, and
    compared, without them."""

    media_type: str
    quality: float
    # Of each part, in lower case.
    part_type: str | None = None
    transfer_syntax: str | None = None


# What is tried after one another: those of the query, those of the header.
Turns = tuple[tuple[Range, ...], ...]


@dataclass(frozen=True)
class Offer:
    """One representation that there is. `is_default`: what whoever says nothing of a transfer syntax means.

    `parts`: as multipart/related; `alone`: as the whole payload.
    """

    media_type: str
    transfer_syntax: str | None = None
    is_default: bool = False
    parts: bool = True
    alone: bool = True

    @property
    def content_type(self) -> str:
        return self.media_type + (f";transfer-syntax={self.transfer_syntax}" if self.transfer_syntax else "")


@dataclass(frozen=True)
class Chosen:
    offer: Offer
    multipart: bool

    @property
    def content_type(self) -> str:
        """Of the answer, but for the boundary of its parts."""
        return f'{MULTIPART}; type="{self.offer.media_type}"' if self.multipart else self.offer.content_type


def accepted(request: Request) -> Turns:
    """The parameter `accept` counts where something in it can be had, else the header (PS3.18 section 8.7.8). Who says
    neither takes anything."""
    asked = ",".join(request.query_params.getlist("accept"))
    said = ",".join(request.headers.getlist("accept"))
    return tuple(ranges(text) for text in (asked, said) if text.strip()) or (ranges(""),)


@lru_cache(_REMEMBERED)
def ranges(text: str) -> tuple[Range, ...]:
    """The most wanted first. Raises nothing: what is no media range is as if it were not there. Nothing is `*/*`."""
    found = list(_ranges(text))
    if not text.strip():
        found = [Range("*/*", 1.0)]
    return tuple(sorted(found, key=lambda one: -one.quality))


def _ranges(text: str) -> Iterator[Range]:
    position, count = 0, 0
    while position < len(text) and count < _RANGES_MAX:
        count += 1
        head = _RANGE.match(text, position)
        parameters: dict[str, str] = {}
        if head is not None:
            position = head.end()
            while (one := _PARAMETER.match(text, position)) is not None:
                parameters.setdefault(one[1].lower(), _unquoted(one[2]))
                position = one.end()
        rest = _REST.match(text, position)
        position = rest.end() if rest is not None else len(text)
        if head is not None and rest is not None and not rest[0].strip(" \t,;"):
            quality = _quality(parameters.pop("q", "1"))
            if quality is not None:
                kind = parameters.get("type")
                yield Range(head[1].lower(), quality, kind and kind.lower(), parameters.get("transfer-syntax"))


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text


def _quality(text: str) -> float | None:
    return float(text) if re.fullmatch(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?", text) else None


def chosen(turns: Turns, offers: Sequence[Offer]) -> Chosen | None:
    """The best of `offers`, which are in our order: that of the highest quality, then of the first range, then of the
    default where a range leaves that open (PS3.18 section 8.7.4). Of the ranges that fit, the most specific says the
    quality (RFC 9110 section 12.5.1). None where nothing fits: 406."""
    return _chosen(turns, tuple(offers))


@lru_cache(_REMEMBERED)
def _chosen(turns: Turns, offers: tuple[Offer, ...]) -> Chosen | None:
    return next((found for wanted in turns if (found := _best(wanted, offers)) is not None), None)


def _best(wanted: Sequence[Range], offers: Sequence[Offer]) -> Chosen | None:
    best: tuple[tuple[float, int, bool], Chosen] | None = None
    for offer in offers:
        # In parts, where there is a choice.
        for multipart in (True, False):
            place = _deciding(wanted, offer, multipart)
            if place is None or not wanted[place].quality:
                continue
            rank = wanted[place].quality, -place, offer.is_default and _is_open(wanted[place])
            if best is None or rank > best[0]:
                best = rank, Chosen(offer, multipart)
    return None if best is None else best[1]


def _deciding(wanted: Sequence[Range], offer: Offer, multipart: bool) -> int | None:
    """The place of the most specific range that fits, of equal ones the first; None where none does."""
    fitting = _fits_parts if multipart else _fits_alone
    found = [(fit, -place) for place, one in enumerate(wanted) if (fit := fitting(one, offer)) is not None]
    return -max(found)[1] if found else None


# How specific a range is: of the whole, of its parts, of the transfer syntax.
_Fit = tuple[int, int, int]


def _fits_parts(one: Range, offer: Offer) -> _Fit | None:
    if not offer.parts:
        return None
    if one.media_type in ("*/*", "multipart/*"):
        return _fits(_width(one.media_type), "*/*", one, offer)
    if one.media_type != MULTIPART:
        return None
    return _fits(2, "*/*" if one.part_type is None else one.part_type, one, offer)


def _fits_alone(one: Range, offer: Offer) -> _Fit | None:
    if not offer.alone or one.media_type.startswith("multipart/"):
        return None
    return _fits(_width(one.media_type), one.media_type, one, offer)


def _fits(width: int, kind: str, one: Range, offer: Offer) -> _Fit | None:
    is_of_type = kind in ("*/*", offer.media_type) or (kind.endswith("/*") and offer.media_type.startswith(kind[:-1]))
    if not is_of_type or not _fits_syntax(one, offer):
        return None
    return width, _width(kind), 0 if one.transfer_syntax is None else 1 + (one.transfer_syntax != ANY)


def _width(kind: str) -> int:
    return 0 if kind == "*/*" else 1 if kind.endswith("/*") else 2


def _is_open(one: Range) -> bool:
    """Whether it says neither of which type, nor in which transfer syntax."""
    kind = one.part_type if one.media_type == MULTIPART else one.media_type
    return kind in (None, "*/*", "multipart/*") and one.transfer_syntax is None


def _fits_syntax(one: Range, offer: Offer) -> bool:
    if one.transfer_syntax is None:
        # Who refuses a type refuses it in each.
        return offer.is_default or _is_open(one) or offer.media_type not in _NEEDS_SYNTAX or not one.quality
    return one.transfer_syntax in (ANY, offer.transfer_syntax)


# Of these, without a transfer syntax, one is the default; an image's type says nearly all.
_NEEDS_SYNTAX = frozenset({"application/dicom", "application/octet-stream"})
