"""The parts of the stack that the rounds use, with the router and the broker as they are behind proxies."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.local import ports
from infra.local.parts.part import Part, Site
from infra.local.parts.services import Service
from infra.local.process import Launch
from tests.running_stack import QuickBroker, RunningStack

SENDERS, STORE, LOG = "senders", "store", "log"
# By what connects through it, a port of a proxy; `BROKER` is the broker's own for those that come through theirs.
BROKER = "broker"
_PARTS = ("kafka", "store", "postgres", "catalog", "router")


class Behind(QuickBroker):
    """A broker that also listens for those who come through a proxy."""

    def __init__(self, site: Site, number: int, listens: int, advertised: int) -> None:
        super().__init__(site, number)
        self._behind = listens, advertised

    def prepare(self) -> None:
        super().prepare()
        listens, advertised = self._behind
        file = Path(self._file)
        text = file.read_text(encoding="ascii")
        own = re.search(r"(?m)^listeners=(.*)$", text)
        assert own is not None
        # Of a name that a properties file has twice the last counts.
        more = (
            f"listeners={own[1]},BEHIND://{ports.HOST}:{listens}",
            f"advertised.listeners=CLIENTS://{ports.HOST}:{self._port},BEHIND://{ports.HOST}:{advertised}",
            "listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT,BEHIND:PLAINTEXT",
        )
        file.write_text(text + "\n".join(more) + "\n", encoding="ascii")


class Through(Service):
    """The router, with a configuration that leads through the proxies."""

    def launch(self) -> Launch:
        program, *options, _ = super().launch().argv
        return Launch([program, *options, str(routed(self._site.home))])


def routed(home: Path) -> Path:
    return home / "router.toml"


class Disturbed(RunningStack):
    """The stack with what is needed of it. `between` has the ports of the proxies."""

    def __init__(self, home: Path, between: Mapping[str, int]) -> None:
        super().__init__(home, say=lambda line: print(line, file=sys.stderr))  # noqa: T201
        self.between = between

    def _waves(self) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        site = self._site()
        of_ours: dict[str, Part] = {
            "kafka": Behind(site, 1, self.between[BROKER], self.between[LOG]),
            "router": Through(site, "router"),
        }
        servers, services = super()._waves()
        return (
            tuple(of_ours.get(part.name, part) for part in servers if part.name in _PARTS),
            tuple(of_ours.get(part.name, part) for part in services if part.name in _PARTS),
        )
