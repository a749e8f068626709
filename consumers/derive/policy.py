"""Which copies an instance gets: by modality, sender, SOP class or whatever else a rule looks at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from consumers.derive.config import Enhancement, Lossless, Method, Syntax
from consumers.derive.enhancing import Enhancing
from streams.routes.conditions import conditions
from streams.routes.matching import Facts, holding
from streams.routes.rules import Match

T = TypeVar("T")


@dataclass(frozen=True)
class Choice:
    """`recompress`: a copy also of what arrived compressed without loss."""

    syntax: Syntax = "htj2k"
    recompress: bool = False


class Policy(Generic[T]):
    """Rules whose conditions were checked when they were read."""

    def __init__(self, rules: Iterable[tuple[Match, T]], otherwise: T) -> None:
        self._otherwise = otherwise
        self._rules = tuple((conditions(match, _never), choice) for match, choice in rules)

    def choice(self, facts: Facts) -> T:
        """By the first rule that fits. `facts` has the file: any element may decide."""
        return next((choice for rule, choice in self._rules if holding(rule, facts)), self._otherwise)


def of_copies(settings: Lossless) -> Policy[Choice]:
    """Section [derive.output.lossless]."""
    return Policy(
        (
            (
                rule.match,
                Choice(
                    settings.syntax if rule.syntax is None else rule.syntax,
                    settings.recompress if rule.recompress is None else rule.recompress,
                ),
            )
            for rule in settings.rules
        ),
        Choice(settings.syntax, settings.recompress),
    )


def of_enhancement(settings: Enhancement) -> Policy[Enhancing | None]:
    """Section [derive.output.enhancement]."""

    def how(method: Method) -> Enhancing | None:
        if method == "none":
            return None
        return Enhancing(method, settings.clip_limit, settings.tiles, settings.median_px)

    return Policy(((rule.match, how(rule.method)) for rule in settings.rules), how(settings.method))


def _never(at: tuple[str, ...], what: str) -> None:
    raise AssertionError(f"{at}: {what}")
