"""The rules of a site, ready to be asked. Needs pydicom; who wants to know the destinations alone takes `section`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from streams.config import Config
from streams.routes.conditions import conditions
from streams.routes.matching import Compiled
from streams.routes.reading import Text, read
from streams.routes.rules import Destination, Rule, Rules
from streams.routes.section import file_of


@dataclass(frozen=True)
class Routes:
    """`digest` (SHA-256, hex) covers everything that is in the file, comments aside."""

    destinations: Mapping[str, Destination]
    rules: tuple[Compiled, ...]
    digest: str

    def about(self, destination: str) -> tuple[Compiled, ...]:
        """The rules that say whether something goes there."""
        return tuple(
            one for one in self.rules if destination in one.rule.forward or destination in one.rule.do_not_forward
        )


def load(path: Path) -> Routes:
    """Reads and checks a rules file. Raises ConfigError, which names every line that is wrong."""
    rules, text = read(path)
    compiled = tuple(_compiled(text, index, rule) for index, rule in enumerate(rules.rules))
    text.settle()
    return _routes(rules, compiled)


def of_site(config: Config) -> Routes:
    """The site's rules; none where [routes] names no file. Raises ConfigError."""
    path = file_of(config)
    return _routes(Rules(), ()) if path is None else load(path)


def _compiled(text: Text, index: int, rule: Rule) -> Compiled:
    def wrong(at: tuple[str, ...], what: str) -> None:
        text.wrong(("rules", index, "match", *at), what)

    return Compiled(rule, conditions(rule.match, wrong))


def _routes(rules: Rules, compiled: tuple[Compiled, ...]) -> Routes:
    digest = hashlib.sha256(msgspec.json.encode(rules, order="deterministic")).hexdigest()
    return Routes(rules.destinations, compiled, digest)
