"""Whether an item matches a key, as PS3.4 section C.2.2.2 says."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

# Wild cards are for text (section C.2.2.2.4); in a UID, a date or a number they are nothing.
_TEXT: Final = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))
_RANGES: Final = frozenset(("DA", "TM"))
_DEPTH_MAX: Final = 4
# Of keys that are looked at alone: a protocol's context with its modifiers and units is six deep (PS3.4 table K.6-1).
_KEYS_DEPTH_MAX: Final = 16
_TOO_DEEP: Final = "the identifier's sequences are nested too deep"
# Keywords of a date and of the time that goes with it.
Period = tuple[str, str]


class BadKey(Exception):
    """A key that cannot be asked for. The text names the attribute, and not its value."""


@dataclass(frozen=True)
class Agreed:
    """What a service, or the peers by extended negotiation, agreed on.

    `periods`: two ranges, of a date and of its time, are one from a moment to a moment (sections C.2.2.2.5, K.6.1.2.2).
    `fuzzy`: every word of a name in a key begins some word of a name (section C.2.2.2.1 leaves to us what that means).
    `lists`: keywords of which several values are any of them. Unless Multiple Value Matching was negotiated, to which
    nobody here agrees, what they mean is undefined (section C.2.2.2.8): of other keys they are refused.
    """

    periods: tuple[Period, ...] = ()
    fuzzy: bool = False
    lists: tuple[str, ...] = ()


NOTHING: Final = Agreed()


def matches(keys: Dataset, item: Dataset, agreed: Agreed = NOTHING, depth: int = 0) -> bool:
    """Whether every key matches. Keys that the item does not have are not supported and match. Raises BadKey."""
    if depth > _DEPTH_MAX:
        raise BadKey(_TOO_DEEP)
    together = [period for period in agreed.periods if _both_ranges(keys, period) and period[0] in item]
    if not all(_within(keys, item, period) for period in together):
        return False
    skipped = {keyword for period in together for keyword in period}
    return all(
        _matches(key, item[key.tag], agreed, depth) for key in keys if key.tag in item and key.keyword not in skipped
    )


def _matches(key: DataElement, held: DataElement, agreed: Agreed, depth: int) -> bool:
    if key.VR == "SQ":
        # No item, or one without keys, asks for all (PS3.4 section C.2.2.2.6).
        wanted_item = key.value[0] if key.value else Dataset()
        some = any(matches(wanted_item, one, agreed, depth + 1) for one in held.value)
        return some or _asks_for_all(wanted_item, depth + 1)
    wanted = list(texts(key))
    if not wanted:
        return True
    if key.VR == "UI":
        return any(uid in wanted for uid in texts(held))
    if len(wanted) > 1 and key.keyword not in agreed.lists:
        raise BadKey(f"{key.keyword} has more than one value")
    if agreed.fuzzy and held.VR == "PN":
        return any(_alike(wanted[0], text) for text in texts(held)) or wanted[0] == "*"
    return any(_one(held.VR, one, text) for one in wanted for text in texts(held)) or "*" in wanted


def _asks_for_all(keys: Dataset, depth: int) -> bool:
    """Whether all keys are universal (section C.2.2.2.3): they match also where nothing is held. Raises BadKey."""
    if depth > _KEYS_DEPTH_MAX:
        raise BadKey(_TOO_DEEP)
    return all(_is_universal(key, depth) for key in keys)


def _is_universal(key: DataElement, depth: int) -> bool:
    if key.VR == "SQ":
        return not key.value or _asks_for_all(key.value[0], depth + 1)
    wanted = list(texts(key))
    return not wanted or ("*" in wanted and key.VR != "UI")


def texts(element: DataElement) -> Iterator[str]:
    """The values that are there, without the padding of PS3.5 section 6.2."""
    value = element.value
    values = value if isinstance(value, list | tuple) or element.VM > 1 else [value]
    for one in values:
        if one is not None and (text := str(one).strip(" \0")):
            yield text


def _one(vr: str, key: str, text: str) -> bool:
    if vr == "DA":
        first, last = day_range(key)
        return first <= text <= last
    if vr == "TM":
        first, last = time_range(key)
        return first <= _clock(text) <= last
    if vr == "PN":
        return _person(key, text)
    if vr in _TEXT and ("*" in key or "?" in key):
        return _pattern(key).match(text) is not None
    # Case matters in everything but names (section C.2.2.2.1).
    return key == text


def _person(key: str, text: str) -> bool:
    """Without case and accents; a key of one component group may match any, alphabetic or ideographic."""
    key, text = _plain(key), _plain(text)
    groups = [text] if "=" in key else [text, *text.split("=")]
    return any(_pattern(key).match(group.rstrip("^")) is not None for group in groups)


def _alike(key: str, text: str) -> bool:
    words = words_of(text)
    return all(any(_pattern(f"{word}*").match(one) for one in words) for word in words_of(key))


def words_of(name: str) -> list[str]:
    """Of a person's name, without case and accents; wild cards stay in them."""
    return [word for word in re.split(r"[\s^=,.\-]+", _plain(name)) if word]


def _plain(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.casefold())
    # Accents stand above or below (classes from 200 on); the marks of other scripts make other letters.
    kept = "".join(sign for sign in apart if unicodedata.combining(sign) < 200)
    return unicodedata.normalize("NFC", kept).rstrip("^")


@lru_cache(maxsize=512)
def _pattern(key: str) -> re.Pattern[str]:
    """What fnmatch makes never goes back over a star, so that no key takes long. Brackets are plain text in DICOM."""
    return re.compile(translate(key.replace("[", "[[]")))


def day_range(key: str) -> tuple[str, str]:
    """First and last day (YYYYMMDD) of a key. Raises BadKey."""
    first, dash, last = key.replace(".", "").partition("-")
    first, last = first.strip(), last.strip()
    if any(day and not re.fullmatch(r"[0-9]{8}", day) for day in (first, last)) or not (first or last):
        raise BadKey("a key is neither a date nor a range of dates")
    return (first or "00000000"), (last or "99999999") if dash else first


def time_range(key: str) -> tuple[str, str]:
    """First and last second (HHMMSS) of a key: 09 is all of that hour. Raises BadKey."""
    first, dash, last = key.replace(":", "").partition("-")
    first, last = (part.strip().partition(".")[0] for part in (first, last))
    if any(part and not re.fullmatch(r"(?:[0-9]{2}){1,3}", part) for part in (first, last)) or not (first or last):
        raise BadKey("a key is neither a time nor a range of times")
    ends = last if dash else first
    return _clock(first or "00"), ends + "235959"[len(ends) :] if ends else "235959"


def _clock(text: str) -> str:
    return (text.replace(":", "").partition(".")[0] + "000000")[:6]


def _both_ranges(keys: Dataset, period: Period) -> bool:
    said = [str(keys.get(keyword) or "") for keyword in period]
    return all("-" in text for text in said)


def _within(keys: Dataset, item: Dataset, period: Period) -> bool:
    date, time = period
    days, times = day_range(str(keys[date].value)), time_range(str(keys[time].value))
    at = (str(item.get(date) or ""), _clock(str(item.get(time) or "")))
    return (days[0], times[0]) <= at <= (days[1], times[1])
