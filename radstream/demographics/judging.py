"""How well a patient agrees with what a study from outside says: words and a number for a person, who decides."""

from __future__ import annotations

import difflib
import unicodedata
from typing import Final, Literal

import msgspec

from consumers.catalog.imports import Patient
from radstream.demographics.query import Known

Word = Literal["same", "similar", "other", "unknown"]

# Of 100. A date of birth is wrong less often than a name is spelt another way, and tells more people apart.
_NAME, _BIRTH_DATE, _SEX = 50, 40, 10
_WORTH: Final[dict[Word, float]] = {"same": 1.0, "similar": 0.6, "other": 0.0, "unknown": 0.4}
# Of `difflib`: one sign of eight is another, or two are exchanged.
_SIMILAR: Final = 0.75
_INITIAL: Final = 0.8
# Of a component group of a PN (PS3.5 section 6.2). A scanner may say more, and comparing takes the product of lengths.
_GROUP_MAX: Final = 64


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """`score` is from 0 to 100. It orders a list; it decides nothing."""

    score: int
    name: Word
    birth_date: Word
    sex: Word


def agreement(known: Known, patient: Patient) -> Agreement:
    likeness = _likeness(known.name, patient.name)
    name = _word(likeness)
    birth_date, sex = _dates(known.birth_date, patient.birth_date), _sexes(known.sex, patient.sex)
    worth = _WORTH["unknown"] if likeness is None else likeness if name == "similar" else _WORTH[name]
    score = _NAME * worth + _BIRTH_DATE * _WORTH[birth_date] + _SEX * _WORTH[sex]
    return Agreement(score=round(score), name=name, birth_date=birth_date, sex=sex)


def _word(likeness: float | None) -> Word:
    if likeness is None:
        return "unknown"
    return "same" if likeness == 1.0 else "similar" if likeness >= _SIMILAR else "other"


def _likeness(one: str, other: str) -> float | None:
    """From 0 to 1; None where one of them is not said. Family and given name may stand the other way round."""
    ours, theirs = _parts(one), _parts(other)
    if not ours or not theirs:
        return None
    apart = 0.6 * _ratio(ours[0], theirs[0]) + 0.4 * _given(ours[1:], theirs[1:])
    together = _ratio(" ".join(sorted(ours)), " ".join(sorted(theirs)))
    return max(apart, together)


def _given(ours: list[str], theirs: list[str]) -> float:
    """The first given names: a second one is often left out."""
    if not ours or not theirs:
        return _INITIAL
    one, other = ours[0], theirs[0]
    if min(len(one), len(other)) == 1 and one != other:
        return _INITIAL if one[0] == other[0] else 0.0
    return _ratio(one, other)


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


def _parts(name: str) -> list[str]:
    """Words of the first component group, the family name's as one, without accents, case and punctuation."""
    group = next((one for one in name.split("=") if one.strip("^ ")), "")
    family, *given = group[:_GROUP_MAX].split("^")[:3]
    words = [family, *" ".join(given).split()] if given else family.replace(",", " ").split()
    return [folded for word in words if (folded := _folded(word))]


def _folded(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.replace("ß", "ss")).casefold()
    return "".join(sign for sign in apart if sign.isalnum())


def _dates(one: str, other: str) -> Word:
    ours, theirs = _digits(one), _digits(other)
    if not ours or not theirs:
        return "unknown"
    if ours == theirs:
        return "same"
    month_for_day = theirs == ours[:4] + ours[6:] + ours[4:6]
    apart = [at for at, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b]
    first, last = apart[0], apart[-1]
    turned = last == first + 1 and ours[first] == theirs[last] and ours[last] == theirs[first]
    return "similar" if month_for_day or turned or len(apart) == 1 else "other"


def _digits(text: str) -> str:
    digits = text.strip().replace(".", "")
    return digits if len(digits) == 8 and digits.isascii() and digits.isdecimal() else ""


def _sexes(one: str, other: str) -> Word:
    ours, theirs = one.strip().upper(), other.strip().upper()
    if ours not in ("F", "M") or theirs not in ("F", "M"):
        return "unknown"
    return "same" if ours == theirs else "other"
