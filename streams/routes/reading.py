"""Reads a rules file. What is wrong with it is said all at once, each with its line, and without a value of a tag."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from streams.config import ConfigError
from streams.ris import MEMBER
from streams.routes.lines import line_of
from streams.routes.rules import Destination, Match, Name, Rule, Rules

BYTES_MAX = 1 << 20
# What is known of a request before its data set was read, when its lane is chosen.
OF_A_REQUEST = frozenset({"calling_ae", "called_ae", "sop_class", "transfer_syntax"})
# Who brings it, and to which door: all that comes so is from outside, or none of it.
OF_A_DOOR = frozenset({"calling_ae", "called_ae"})

T = TypeVar("T")
At = tuple[str | int, ...]


@dataclass
class Text:
    """A file that is read, and what was found wrong with it so far."""

    path: Path
    text: str
    problems: list[tuple[int, str]] = field(default_factory=list)

    def wrong(self, at: At, what: str) -> None:
        self.problems.append((self.line(at), what))

    def line(self, at: At) -> int:
        return line_of(self.text, at)

    def settle(self) -> None:
        """Raises ConfigError where something is wrong."""
        if self.problems:
            raise ConfigError("\n".join(f"{self.path}:{line}: {what}" for line, what in sorted(self.problems)))


def read(path: Path) -> tuple[Rules, Text]:
    """The rules, and the text that errors in them point into. Raises ConfigError."""
    text = opened(path, "write it, or take `file` out of section [routes]")
    rules = _rules(text, parsed(text))
    text.settle()
    return rules, text


def opened(path: Path, todo: str) -> Text:
    """A file of rules as text; `todo` is said where there is none. Raises ConfigError."""
    try:
        data = path.read_bytes()
        if len(data) > BYTES_MAX:
            raise ConfigError(f"{path}: more than {BYTES_MAX} bytes are no file of rules")
        return Text(path, data.decode("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; {todo}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({type(error).__name__})") from None


def parsed(text: Text) -> dict[str, Any]:
    """What it says, as TOML. Raises ConfigError."""
    try:
        return tomllib.loads(text.text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        # The parser's text can quote a character of a value, never more.
        raise ConfigError(f"{text.path}:{line[1] if line else 1}: not TOML: {error}") from None
    except (ValueError, RecursionError) as error:
        # Numbers of thousands of digits, brackets in brackets: tomllib has no words for them.
        raise ConfigError(f"{text.path}:1: not a file of rules ({type(error).__name__})") from None


def _rules(text: Text, values: dict[str, Any]) -> Rules:
    for key in values.keys() - {"destinations", "rules"}:
        text.wrong((key,), f"unknown key `{key}`; there are: [destinations.NAME] and [[rules]]")
    destinations = values.get("destinations", {})
    rules = values.get("rules", [])
    if not isinstance(destinations, dict) or not isinstance(rules, list):
        what = "a destination is written [destinations.NAME], a rule [[rules]]"
        text.wrong(("rules",) if isinstance(destinations, dict) else ("destinations",), what)
        return Rules()
    nodes = dict(_destinations(text, destinations))
    listed = tuple(rule for index, value in enumerate(rules) if (rule := _rule(text, index, value)) is not None)
    given = {index: value.get("name") for index, value in enumerate(rules) if isinstance(value, dict)}
    names = {index: name for index, name in given.items() if isinstance(name, str)}
    for index, name in names.items():
        if Counter(names.values())[name] > 1:
            text.wrong(("rules", index, "name"), "another rule has this name; decisions are explained by it")
    for index, value in enumerate(rules):
        if isinstance(value, dict):
            _check_names(text, index, value, destinations)
    return Rules(destinations=nodes, rules=listed)


def _destinations(text: Text, values: Mapping[str, Any]) -> Iterator[tuple[str, Destination]]:
    for name, value in values.items():
        at: At = ("destinations", name)
        if name == MEMBER:
            text.wrong(at, f"`{name}` is the name of a group that radstream has; call the destination something else")
            continue
        if _converted(text, at, name, Name) is None:
            continue
        if (node := _converted(text, at, value, Destination)) is not None:
            yield name, node


def _rule(text: Text, index: int, value: Any) -> Rule | None:
    at: At = ("rules", index)
    if isinstance(value, dict) and isinstance(value.get("match"), dict):
        _check_match(text, (*at, "match"), value["match"])
        value = {**value, "match": {key: value["match"][key] for key in value["match"].keys() & _CONDITIONS}}
        if not all(_is_patterns(one) for one in _flat(value["match"]).values()):
            return None
    rule: Rule | None = _converted(text, at, value, Rule)
    if rule is None:
        return None
    if not rule.acts:
        text.wrong(at, "it does nothing: give it forward, do_not_forward, lane, tag, hold or outside")
    asked = {key for key in _CONDITIONS if getattr(rule.match, key)}
    if rule.lane is not None and (late := sorted(asked - OF_A_REQUEST)):
        known = ", ".join(sorted(OF_A_REQUEST))
        what = f"a lane is chosen before the data set is read, so a rule with `lane` can match on {known} alone"
        text.wrong((*at, "match", late[0]), what)
    if rule.outside is not None and (other := sorted(asked - OF_A_DOOR)):
        known = ", ".join(sorted(OF_A_DOOR))
        what = f"what a sender brings is from outside, or nothing of it, so `outside` can match on {known} alone"
        text.wrong((*at, "match", other[0]), what)
    return rule


_CONDITIONS = frozenset(Match.__struct_fields__)


def _check_match(text: Text, at: At, match: dict[str, Any]) -> None:
    for key in match.keys() - _CONDITIONS:
        known = ", ".join(Match.__struct_fields__)
        text.wrong((*at, key), f"nothing can be matched on `{key}`; there are: {known}")
    if not isinstance(match.get("tags", {}), dict):
        text.wrong((*at, "tags"), 'tags are written match.tags.KEYWORD = "..." or match.tags."(gggg,eeee)" = "..."')
        match["tags"] = {}
    for where, patterns in _flat(match).items():
        if where[0] in _CONDITIONS and not _is_patterns(patterns):
            text.wrong((*at, *where), "give one pattern or a list of patterns, each a text that is not empty")


def _flat(match: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    plain: dict[tuple[str, ...], Any] = {(key,): value for key, value in match.items() if key != "tags"}
    return {**plain, **{("tags", name): value for name, value in match.get("tags", {}).items()}}


def _is_patterns(value: Any) -> bool:
    values = [value] if isinstance(value, str) else value
    return isinstance(values, list) and bool(values) and all(isinstance(one, str) and one for one in values)


def _check_names(text: Text, index: int, rule: dict[str, Any], destinations: Mapping[str, Any]) -> None:
    named = {key: rule.get(key) for key in ("forward", "do_not_forward")}
    for key, names in named.items():
        for name in names if isinstance(names, list) else ():
            if name not in destinations:
                known = ", ".join(destinations) or "none"
                text.wrong(("rules", index, key), f"no destination is called `{name}`; there are: {known}")
            elif key == "do_not_forward" and name in (named["forward"] or ()):
                text.wrong(("rules", index, key), f"the rule forwards to `{name}` and forbids it")


def _converted(text: Text, at: At, value: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        inner = [part for part in re.split(r"[.\[\]`]+", where) if part and not part.isdigit() and part != "..."]
        if unknown := re.search(r"unknown field `([^`]+)`", what):
            inner.append(unknown[1])
        text.wrong((*at, *inner), f"{'.'.join(inner)}: {what}" if inner and not unknown else what)
        return None
