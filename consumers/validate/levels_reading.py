"""Reads the file of levels. What is wrong with it is said all at once, each with its line and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from consumers.validate.levels import LEVELS, SPECIFIC, File, Level, Levels, Ready, When
from consumers.validate.reasons import REASONS
from consumers.validate.releasing import RULE as RELEASED
from consumers.validate.rules import RULES
from consumers.validate.study.rules import CONTRADICTION, PATIENT_UNKNOWN
from consumers.validate.study.rules import RULES as OF_STUDIES
from streams.routes.conditions import Condition, conditions, globs
from streams.routes.reading import Text, opened, parsed
from streams.routes.rules import Match, Patterns

At = tuple[str | int, ...]
_WHOLE = "[rules]"
_ALL = {**RULES, **OF_STUDIES}
_UNCHANGEABLE = {
    RELEASED: "who looks at the image is to know it",
    CONTRADICTION: "it says why images of the study are held",
    PATIENT_UNKNOWN: "silence would mean that nothing is wrong",
}
_HOLDING = {"quarantine", "quarantined", "hold", "held", "reject", "refuse"}


def of_site(file: Path | None) -> Levels:
    """What section [validate] names; no word on any rule where it names nothing. Raises ConfigError."""
    return Levels() if file is None else load(file)


def load(path: Path) -> Levels:
    """Raises ConfigError, which names every line that is wrong."""
    text = opened(path, "write it, or take `rules` out of section [validate]")
    values = parsed(text)
    file = _file(text, values)
    whole = Ready(_WHOLE, (), _levels(text, ("rules",), file.rules, of_senders=False), (0,) * len(SPECIFIC))
    parts = tuple(_ready(text, number, when) for number, when in enumerate(file.when))
    text.settle()
    return Levels(file, (whole, *parts))


def _file(text: Text, values: dict[str, Any]) -> File:
    """The parts of the file that can be understood; the others are said to `text`."""
    for key in values.keys() - {"rules", "when"}:
        text.wrong((key,), f"unknown key `{key}`; there are: [rules] and [[when]]")
    rules, when = values.get("rules", {}), values.get("when", [])
    if not isinstance(rules, dict):
        text.wrong(("rules",), "levels of the whole site are written [rules]")
        rules = {}
    if not isinstance(when, list):
        text.wrong(("when",), "levels of some images are written [[when]]")
        when = []
    return File(
        rules=_texts(text, ("rules",), rules), when=tuple(_when(text, number, one) for number, one in enumerate(when))
    )


def _when(text: Text, number: int, value: Any) -> When:
    at: At = ("when", number)
    if not isinstance(value, dict):
        text.wrong(at, "levels of some images are written [[when]]")
        return When()
    for key in value.keys() - {*SPECIFIC, "rules"}:
        text.wrong((*at, key), f"unknown key `{key}`; there are: {', '.join(SPECIFIC)}, and rules")
    given: dict[str, Any] = {}
    for name in SPECIFIC:
        if name in value and not _is_patterns(value[name]):
            text.wrong((*at, name), "give one pattern or a list of patterns, each a text that is not empty")
        elif name in value:
            given[name] = value[name]
    rules = value.get("rules")
    if not given and not value.keys() & set(SPECIFIC):
        text.wrong(at, f"it is for no images in particular: give it {', '.join(SPECIFIC)}, or write it under [rules]")
    if not isinstance(rules, dict) or not rules:
        text.wrong((*at, "rules"), 'it says nothing of any rule: rules = {NAME = "warning"}')
        rules = {}
    return msgspec.convert({**given, "rules": _texts(text, (*at, "rules"), rules)}, When)


def _is_patterns(value: Any) -> bool:
    values = [value] if isinstance(value, str) else value
    return isinstance(values, list) and bool(values) and all(isinstance(one, str) and one for one in values)


def _texts(text: Text, at: At, rules: dict[str, Any]) -> dict[str, str]:
    for name, level in rules.items():
        if not isinstance(level, str):
            text.wrong((*at, name), f"`{name}` wants one of: {', '.join(LEVELS)}")
    return {name: level for name, level in rules.items() if isinstance(level, str)}


def _levels(text: Text, at: At, rules: Mapping[str, str], *, of_senders: bool) -> dict[str, Level]:
    return dict(_checked(text, at, rules, of_senders=of_senders))


def _checked(text: Text, at: At, rules: Mapping[str, str], *, of_senders: bool) -> Iterator[tuple[str, Level]]:
    for name, said in rules.items():
        level = next((one for one in LEVELS if one == said), None)
        if name in REASONS:
            text.wrong((*at, name), f"`{name}` is a reason to hold an image, no rule; it cannot be changed")
        elif name not in _ALL:
            text.wrong((*at, name), f"no rule is called `{name}`{_nearest(name)}; all of them: radstream rules list")
        elif name in _UNCHANGEABLE:
            text.wrong((*at, name), f"`{name}` cannot be changed: {_UNCHANGEABLE[name]}")
        elif name in OF_STUDIES and of_senders:
            what = f"`{name}` is about a study, whose images may have several senders: take calling_ae out, or the rule"
            text.wrong((*at, name), what)
        elif said in _HOLDING:
            what = f'no rule holds an image up, because a reader waits for it; the most is `{name} = "error"`'
            text.wrong((*at, name), what)
        elif level is None:
            text.wrong((*at, name), f"`{name}` wants one of: {', '.join(LEVELS)}")
        else:
            yield name, level


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, _ALL, n=1, cutoff=0.5)
    return f"; perhaps `{near[0]}`" if near else ""


def _ready(text: Text, number: int, when: When) -> Ready:
    at: At = ("when", number)

    def wrong(where: tuple[str, ...], what: str) -> None:
        text.wrong((*at, *where), what)

    match = Match(calling_ae=when.calling_ae, sop_class=when.sop_class, modality=when.modality)
    of_match = conditions(match, wrong, of_headers=True)  # rules on studies are tried on these
    tried = (*of_match, *([Condition("site", globs(when.site))] if when.site else []))
    rank = tuple(_specific(getattr(when, name)) for name in SPECIFIC)
    where = f"[[when]] on line {text.line((*at,))}"
    return Ready(where, tried, _levels(text, (*at, "rules"), when.rules, of_senders=bool(when.calling_ae)), rank)


def _specific(patterns: Patterns) -> int:
    """2 for names, 1 where one of them is a pattern, 0 where nothing is asked."""
    listed = (patterns,) if isinstance(patterns, str) else patterns
    return 0 if not listed else 1 if any(set(one) & set("*?") for one in listed) else 2
