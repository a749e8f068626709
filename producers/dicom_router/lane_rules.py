"""The site's rules that give a lane: asked when a request comes, with what is known before its data set is read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from producers.dicom_router.arrival import Arrival
from schemas import Lane
from streams.config import Config
from streams.routes.matching import Compiled, Facts, lane
from streams.routes.routes import of_site


@dataclass(frozen=True)
class LaneRules:
    """Those with a lane (docs/hospitals.md). `rules_digest` (SHA-256, hex) is empty where there are none."""

    rules: tuple[Compiled, ...] = ()
    rules_digest: str = ""

    @staticmethod
    def of_site(config: Config) -> LaneRules:
        """Raises ConfigError for rules that cannot be used."""
        routes = of_site(config)
        rules = tuple(one for one in routes.rules if one.rule.lane is not None)
        return LaneRules(rules, routes.digest if rules else "")

    def of(self, arrival: Arrival) -> Lane | None:
        """The lane of the first rule that fits; None where none does, and what the peer is given holds."""
        facts = Facts(
            calling_ae=arrival.calling_ae,
            called_ae=arrival.called_ae,
            sop_class=arrival.sop_class_uid or arrival.abstract_syntax,
            transfer_syntax=arrival.transfer_syntax_uid,
        )
        return lane(self.rules, facts)

    def of_titles(self, calling_ae: str, called_ae: str) -> Lane | None:
        """The lane that a rule gives to all that comes between these, whatever it is."""
        return lane(self.rules, Facts(calling_ae=calling_ae, called_ae=called_ae))

    def digest(self, of_peers: str) -> str:
        """SHA-256 (hex) of all that chooses lanes; `of_peers` is that of `Lanes`."""
        if not self.rules:
            return of_peers
        return hashlib.sha256(f"{of_peers}/{self.rules_digest}".encode()).hexdigest()


NO_RULES = LaneRules()
