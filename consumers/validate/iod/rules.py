"""What is said of an attribute that is missing or empty, for whoever made the image. No value of a file is in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pydicom.datadict import dictionary_description, dictionary_has_tag

from consumers.validate.rule import Rule
from streams.events import Finding


@dataclass(frozen=True)
class Kind:
    severity: Literal["info", "warning", "error"]
    type: str | None
    text: str


_BY_OTHERS = "The standard lets it be so here; other checkers do not, and readers may look for it."
# Type 1 is a value that software builds on; of Type 2 it may be unknown, and then it has to say so by being empty.
KINDS = {
    "type_1_missing": Kind("error", "1", "{0} is missing. {1} has to have it, with a value: {2}."),
    "type_1_empty": Kind("error", "1", "{0} is empty. {1} has to have a value here: {2}."),
    "type_1c_missing": Kind("error", "1C", "{0} is missing. What else the file says makes {3} need it: {2}."),
    "type_1c_empty": Kind("error", "1C", "{0} is empty. Where {3} has it, it has to have a value: {2}."),
    "type_2_missing": Kind("warning", "2", "{0} is missing. {1} has to have it, if only empty as unknown: {2}."),
    "type_2c_missing": Kind(
        "warning", "2C", "{0} is missing. What else the file says makes {3} need it, if only empty as unknown: {2}."
    ),
    "type_1_asked_by_others": Kind("info", "1", f"{{0}} is missing. {_BY_OTHERS}"),
    "type_1_asked_by_others_empty": Kind("info", "1", f"{{0}} is empty. {_BY_OTHERS}"),
    "type_2_asked_by_others": Kind("info", "2", f"{{0}} is missing. {_BY_OTHERS}"),
    "present_otherwise": Kind(
        "info", None, "{0} is here, though {3} has it only where something else in the file is otherwise."
    ),
    "items_too_many": Kind("warning", None, "{0} has several items, and {3} has place for one: readers may take any."),
    "macro_twice": Kind("error", None, "{0} is for all frames and for single frames too: only one of them can hold."),
    "frame_without_macro": Kind("error", "1", "{0} is missing for some frames. {1} has to be there for each: {2}."),
    "nested_not_checked": Kind(
        "info", None, "{0} was not looked into: there is more in it than the limit, or its items do not hold together."
    ),
}
_MATTERS = {
    "Patient": "it tells whose images these are",
    "Study": "it tells which examination the images are of",
    "Series": "it tells which images belong together, and how they were made",
    "Frame of Reference": "it tells which images may be laid over each other",
    "Equipment": "it tells what made the image",
    "File": "readers of files look for it first",
}
_MATTERS_ELSE = "software that shows, measures or files it may rely on it"

# As a site's file and the list of rules name them, before it is known of which attribute and module.
RULES = {
    name: Rule(kind.severity, "PS3.3 A", kind.text.format("An attribute", "Its module", _MATTERS_ELSE, "its module"))
    for name, kind in KINDS.items()
}


def said(rule: str, tag: int, path: str, module: tuple[str, str, str], also: int) -> Finding:
    """A finding; `module` is title, section and entity, `also` how many other items have the same."""
    kind, (title, section, entity) = KINDS[rule], module
    who = f"the module {title}" if title else "this kind of object"
    text = kind.text.format(name(tag), f"{who[0].upper()}{who[1:]}", _MATTERS.get(entity, _MATTERS_ELSE), who)
    if also:
        text += f" The same in {also} more."
    return Finding(rule=rule, severity=kind.severity, text=text, tag=path, section=section, type=kind.type)


@lru_cache(maxsize=4096)
def name(tag: int) -> str:
    """An attribute's name in the standard."""
    return dictionary_description(tag) if dictionary_has_tag(tag) else f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
