"""The site's rules that say what was made elsewhere: whose images, brought by whom, have another hospital's numbers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from streams.config import Config
from streams.events import Outside
from streams.routes.matching import Compiled, Facts, outside
from streams.routes.routes import of_site


@dataclass(frozen=True)
class OutsideRules:
    """Those with `outside` (docs/hospitals.md). `rules_digest` (SHA-256, hex) is empty where there are none."""

    rules: tuple[Compiled, ...] = ()
    rules_digest: str = ""

    @staticmethod
    def of_site(config: Config) -> OutsideRules:
        """Raises ConfigError for rules that cannot be used."""
        routes = of_site(config)
        rules = tuple(one for one in routes.rules if one.rule.outside is not None)
        return OutsideRules(rules, routes.digest if rules else "")

    def of(self, calling_ae: str, called_ae: str) -> Outside | None:
        """By the first rule that fits; None for what was made here."""
        return outside(self.rules, Facts(calling_ae=calling_ae, called_ae=called_ae))

    def digest(self, of_lanes: str) -> str:
        """SHA-256 (hex) of all that is said of a request but what it is; `of_lanes` is that of lanes."""
        if not self.rules:
            return of_lanes
        return hashlib.sha256(f"{of_lanes}/outside/{self.rules_digest}".encode()).hexdigest()


NOTHING_OUTSIDE = OutsideRules()
