"""Which lossless copy an instance gets: by modality, sender, SOP class or whatever else a rule looks at."""

from __future__ import annotations

from dataclasses import dataclass

from consumers.derive.config import Lossless, Syntax
from streams.routes.conditions import conditions
from streams.routes.matching import Facts, holding


@dataclass(frozen=True)
class Choice:
    """`recompress`: a copy also of what arrived compressed without loss."""

    syntax: Syntax = "htj2k"
    recompress: bool = False


class Policy:
    """The rules of section [derive.output.lossless], which were checked when they were read."""

    def __init__(self, settings: Lossless) -> None:
        self._otherwise = Choice(settings.syntax, settings.recompress)
        self._rules = tuple(
            (
                conditions(rule.match, _never),
                Choice(
                    settings.syntax if rule.syntax is None else rule.syntax,
                    settings.recompress if rule.recompress is None else rule.recompress,
                ),
            )
            for rule in settings.rules
        )

    def choice(self, facts: Facts) -> Choice:
        """By the first rule that fits. `facts` has the file: any element may decide."""
        return next((choice for rule, choice in self._rules if holding(rule, facts)), self._otherwise)


def _never(at: tuple[str, ...], what: str) -> None:
    raise AssertionError(f"{at}: {what}")
