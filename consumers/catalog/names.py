"""Text as people look for it: without case and accents, by parts of words, and by sound."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

# Letters that Unicode takes for letters of their own, and keyboards elsewhere lack.
_PLAIN: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}
)
_WORD: Final = re.compile(r"[^\W_]+")
_WILD: Final = re.compile(r"[*?]")
# Each costs the database; nobody means more.
_TERMS_MAX: Final = 24
# American Soundex, and before it what sounds alike at the beginning of a word in the languages of our neighbours.
_BEGINNINGS: Final = (("ph", "f"), ("pf", "f"), ("kn", "n"), ("wr", "r"))
_FIRST: Final = str.maketrans("cqzxyjvw", "kkssiiff")
_SOUNDS: Final = {
    letter: digit
    for letters, digit in (("bfpv", "1"), ("cgjkqsxz", "2"), ("dt", "3"), ("l", "4"), ("mn", "5"), ("r", "6"))
    for letter in letters
}
_SOUND_LETTERS: Final = 4


def folded(text: str) -> str:
    """Without case, accents and width."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in apart if not unicodedata.combining(char)).casefold().translate(_PLAIN)


def folded_name(name: str) -> str:
    """A person name (PS3.5 section 6.2.1) as it is matched: `=group=group=`, without empty components at the ends."""
    groups = [folded(group).strip(" ").rstrip("^ ") for group in name.split("=")]
    while groups and not groups[-1]:
        groups.pop()
    return f"={'='.join(groups)}=" if groups else ""


def words(text: str) -> list[str]:
    """Letters and digits of folded text, in words."""
    return _WORD.findall(text)


def trigrams(word: str, *, begins: bool = True, ends: bool = True) -> Iterator[str]:
    """Three characters each, with blanks around the word where it `begins` and `ends`."""
    padded = ("  " if begins else "") + word + (" " if ends else "")
    return (padded[at : at + 3] for at in range(len(padded) - 2))


def terms(field: str, text: str) -> set[str]:
    """What folded text is found by; `field` is a letter that says of which attribute."""
    return {field + part for word in words(text) for part in trigrams(word)}


def found_by(field: str, patterns: Iterable[str], *, ends: bool = True) -> list[str]:
    """What is among the terms of whatever matches one of these patterns of `*` and `?`, the rarest; nothing where they
    are too short to tell. Without `ends` what matches may go on behind them."""
    found = {term for pattern in patterns for term in _of_pattern(field, folded(pattern), ends)}
    # The longest are the rarest: three letters say more than a beginning.
    return sorted(found, key=lambda term: (term.count(" "), term))[:_TERMS_MAX]


def _of_pattern(field: str, pattern: str, ends: bool) -> Iterator[str]:
    """Of what is between two wild cards; a word at its edge may go on behind them."""
    fragments = _WILD.split(pattern)
    for at, fragment in enumerate(fragments):
        is_first, is_last = at == 0, ends and at == len(fragments) - 1
        for word in _WORD.finditer(fragment):
            begins, is_whole = is_first or word.start() > 0, is_last or word.end() < len(fragment)
            yield from (field + part for part in trigrams(word[0], begins=begins, ends=is_whole))


def sounds(field: str, names: Iterable[str]) -> set[str]:
    """The sound of each word: what is written otherwise and spoken alike has the same."""
    return {f"{field}~{sound(word)}" for name in names for word in words(name)}


def sound(word: str) -> str:
    """Soundex of a folded word; of one that is not in Latin letters, the word itself."""
    if not (word.isascii() and word.isalpha()):
        return word
    for spelt, said in _BEGINNINGS:
        if word.startswith(spelt):
            word = said + word[len(spelt) :]
    code, last = word[0].translate(_FIRST), _SOUNDS.get(word[0], "")
    for letter in word[1:]:
        digit = _SOUNDS.get(letter, "")
        if digit and digit != last:
            code += digit
        if letter not in "hw":
            last = digit
    return code[:_SOUND_LETTERS]
