"""Our own services, each a process with one configuration file."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from infra.local import ports
from infra.local.parts.part import Serving, Site, get_serving, get_status
from infra.local.process import Launch
from streams import config
from streams.handover.handover import SECTION

# By part, what is run. Windows need the extra of that name, which not everybody has.
# The router comes last: when it takes associations, everything behind it is there.
MODULES = {
    "validate": "consumers.validate",
    "derive": "consumers.derive",
    "revisions": "streams.revisions",
    "chains": "streams.chains",
    "ai": "consumers.ai",
    "tiering": "consumers.tiering",
    "forward": "consumers.forward",
    "catalog": "consumers.catalog",
    "commitment": "consumers.commitment",
    "lag": "streams.lagging",
    **({"windows": "streams.windows"} if find_spec("faust") else {}),
    "orders": "producers.orders",
    "worklist": "producers.worklist",
    "gateway": "gateway",
    "retrieve": "gateway.dimse",
    "router": "producers.dicom_router",
}


# Those that hand their ports to a newer process.
FRONTS = ("router",)


class Listening(config.Section, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """What the stack has to know of a service's section: where it listens, and how long it takes to let go."""

    http_port: int
    port: int | None = None
    stop_timeout_s: float = 0.0


class Service:
    stop_signal = signal.SIGTERM
    start_s_max = 300.0
    stop_s_max = 45.0

    def __init__(self, site: Site, name: str) -> None:
        self._site = site
        self.name = name

    @property
    def ports(self) -> Sequence[int]:
        section = self._section()
        return (section.http_port,) if section.port is None else (section.http_port, section.port)

    @property
    def waits_for(self) -> str:
        return f"http://{ports.HOST}:{self._section().http_port}/readyz"

    def prepare(self) -> None:
        self._section()

    def launch(self) -> Launch:
        # -P: a folder named `streams` where the person stands is not ours.
        return Launch([sys.executable, "-P", "-m", MODULES[self.name], "--config", str(self._site.config)])

    def ready(self) -> bool:
        return get_status(f"http://{ports.HOST}:{self._section().http_port}/readyz") == 200

    def serving(self) -> Serving | None:
        """Which process answers, whether or not it is ready."""
        return get_serving(f"http://{ports.HOST}:{self._section().http_port}/readyz")

    @property
    def hands_over(self) -> bool:
        """Whether a newer process takes over from one that runs."""
        return self.name in FRONTS and SECTION in config.load(self._site.config).names

    @property
    def handing_over_s_max(self) -> float:
        """How long an older process may take to end once a newer one serves."""
        return self.stop_s_max + self._section().stop_timeout_s

    def _section(self) -> Listening:
        return config.load(self._site.config).section(self.name, Listening)
