"""The object store: versitygw over a folder, with hot, warm, cold and backup on paths of their own."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from infra.local import durable, ports
from infra.local.parts.part import Site, get_status
from infra.local.process import Launch
from infra.local.tools import gateway

BUCKETS = ("hot", "warm", "cold", "backup")
HEALTH = "/radstream-health"

# It takes a megabyte for each range that is read, and collects its garbage after every fourth: a third of what reading
# the header of a slice costs it. So it collects later, and at the latest at this size.
_COLLECTED: Final = {"GOGC": "1600", "GOMEMLIMIT": "256MiB"}


class Store:
    name = "store"
    stop_signal = signal.SIGTERM
    start_s_max = 300.0
    stop_s_max = 20.0

    def __init__(self, site: Site) -> None:
        self._site = site
        self._port = site.state.ports["store"]

    @property
    def ports(self) -> Sequence[int]:
        return (self._port,)

    @property
    def waits_for(self) -> str:
        return f"its health on {ports.HOST}:{self._port}"

    def prepare(self) -> None:
        for folder in folders(self._site):
            folder.mkdir(parents=True, exist_ok=True)
            durable.make_synchronous(folder)

    def launch(self) -> Launch:
        secrets = self._site.state.secrets
        root, versions, *_ = folders(self._site)
        options = ("--port", f"{ports.HOST}:{self._port}", "--health", HEALTH, "--quiet", "--keep-alive")
        # One gateway alone writes here, so its locks need no files.
        posix = ("posix", "--bucketlinks", "--disable-object-lock-file", "--versioning-dir", str(versions), str(root))
        program = gateway.versitygw(self._site.say)
        # By the environment: a command line can be read by every user of the machine.
        keys = {"ROOT_ACCESS_KEY_ID": secrets.access_key, "ROOT_SECRET_ACCESS_KEY": secrets.secret_key}
        return Launch([str(program), *options, *posix], keys | _COLLECTED)

    def ready(self) -> bool:
        return get_status(f"http://{ports.HOST}:{self._port}{HEALTH}") == 200


def folders(site: Site) -> tuple[Path, ...]:
    """The gateway's root, the folder of older versions, and the folder that holds the tiers."""
    data = site.data("store")
    return (data / "root", data / "versions", data / "tiers")


def is_durable(site: Site) -> bool:
    """Whether every folder that the store writes to is written through to the disk."""
    tiers = folders(site)[-1]
    return all(durable.is_synchronous(path) for path in (*folders(site), *(tiers / name for name in BUCKETS)))
