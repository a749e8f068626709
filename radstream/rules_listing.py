"""Every rule in a list, and as the page docs/findings.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from consumers.validate.advice import todo
from consumers.validate.levels import Facts, Levels
from consumers.validate.reasons import REASONS
from consumers.validate.rules import RULES
from consumers.validate.study.rules import RULES as OF_STUDIES

_HEAD = """# Findings, and reasons to hold an image

This page is printed by `radstream rules list --markdown`; a test keeps it as it is printed.

An image that breaks a rule flows all the same, with a *finding*: a reader waits for it. Only what cannot be read,
cannot be named, contradicts its own patient, or would take another image's place is held (*quarantined*), and then a
person decides: `radstream quarantine show`, `release`, `reject`. So an image is *accepted*, *accepted with findings*,
or *quarantined*.

How much a rule matters, a site says itself: `rules = "rules.toml"` in section [validate].

```toml
[rules]                            # the whole site
odd_length = "info"                # error, warning, info, off

[[when]]                           # some images: all conditions hold, of several patterns one
calling_ae = ["OLDCT*", "CT7"]     # also sop_class, modality, site
modality = "CT"
rules = {odd_length = "off", pixel_length_excess = "info"}
```

The most specific word holds: that for a calling AE before that for a SOP class, before a modality, before a site,
before [rules]; a name before a pattern; of two alike the later one. `radstream rules check` says what is wrong with the
file, with its line, and `radstream rules test --calling-ae OLDCT2 --modality CT` what it says of such an image. The
file is read when validate starts (`radstream restart validate`). It changes what comes out, so a changed file is a new
generation, and images that came before keep their findings until `radstream replay run validate`.

Rules on a study as a whole take words on site, SOP class and modality, and none on a calling AE, since its images may
have several. Where it has images of several kinds, the gravest of their levels holds. Their modality is what the header
says, be it a defined term or not (`CTA`); of single images only defined terms are known.

## Reasons to hold an image

No file can switch these off, and no rule becomes one by being raised.

| reason | what is wrong | what to do | can be released |
|---|---|---|---|
"""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A rule. `level` is the site's where `where` says which part of its file says so, else the rule's own severity."""

    name: str
    about: Literal["image", "study"]
    severity: str
    level: str
    where: str | None
    section: str | None
    tag: str | None
    text: str
    todo: str


def listed(levels: Levels, facts: Facts) -> list[Listed]:
    """By name."""
    said = levels.of(facts)
    return [
        Listed(
            name=name,
            about="study" if name in OF_STUDIES else "image",
            severity=rule.severity,
            level=said[name].level if name in said else rule.severity,
            where=said[name].where if name in said else None,
            section=rule.section or None,
            tag=rule.tag,
            text=rule.text,
            todo=todo(name, rule),
        )
        for name, rule in sorted((RULES | OF_STUDIES).items())
    ]


def page() -> str:
    """The page, whole."""
    return _HEAD + "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    for code, reason in sorted(REASONS.items()):
        yield f"| `{code}` | {reason.text} | {reason.todo} | {f'no: {reason.keeps}' if reason.keeps else 'yes'} |"
    every = listed(Levels(), Facts())
    for about, title in (("image", "Rules"), ("study", "Rules on a study as a whole")):
        yield f"\n## {title}\n"
        yield "| rule | severity | section | what is wrong | what to do |\n|---|---|---|---|---|"
        for one in every:
            if one.about == about:
                yield f"| `{one.name}` | {one.severity} | {one.section or 'ours'} | {one.text} | {one.todo} |"
