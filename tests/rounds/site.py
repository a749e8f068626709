"""What the rounds disturb: broker, store, catalog and router, with proxies between them and small disks under them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from infra.local import ports, settings_file
from infra.local.parts.kafka import Broker
from infra.local.parts.part import Part, Site
from infra.local.parts.services import Service
from infra.local.process import Launch
from infra.local.tools import cache
from streams.schema_ids import write_ids
from streams.store_scu import Target
from tests.power import PowerDisk
from tests.rounds.toxiproxy import Toxiproxy, run_toxiproxy
from tests.running_stack import NO_MODELS, RunningStack, new_home
from tests.waiting import wait_until

SENDERS, STORE, LOG = "senders", "store", "log"
# Away from those that stacks choose. A broker tells its clients where it is, so those that come through the proxy have
# a listener of their own.
_PORTS = {"toxiproxy": 24474, SENDERS: 24112, STORE: 24070, LOG: 24092, "kafka-behind": 24192}
_PARTS = ("kafka", "store", "postgres", "catalog", "router")
DISK_BYTES: Mapping[str, int] = {"store": 12 << 30, "router": 512 << 20}
SPOOLING = ("SPOOLS1", "SPOOLS2")


class Behind(Broker):
    """A broker that also listens for those who come through a proxy."""

    def __init__(self, site: Site, number: int, listens: int, advertised: int) -> None:
        super().__init__(site, number)
        self._behind = listens, advertised

    def launch(self) -> Launch:
        """With the quick compiler alone: it starts again and again."""
        program, *options = super().launch().argv
        return Launch([program, "-XX:TieredStopAtLevel=1", *options], super().launch().environment)

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
        of_ours = {
            "kafka": Behind(site, 1, self.between["kafka-behind"], self.between[LOG]),
            "router": Through(site, "router"),
        }
        servers, services = super()._waves()
        return (
            tuple(of_ours.get(part.name, part) for part in servers if part.name in _PARTS),
            tuple(of_ours.get(part.name, part) for part in services if part.name in _PARTS),
        )

    def launch(self, name: str) -> None:
        """Starts a part that was killed, and does not wait for it."""
        part = self._part(name)
        part.prepare()
        self._launch(part)

    def wait(self) -> None:
        """Until every part answers. Raises StackError for one that ended, by itself or while it started."""
        for name in self.names:
            self._wait(self._part(name))

    def signal(self, name: str, number: signal.Signals) -> None:
        os.kill(self.pid(name), number)

    def _part(self, name: str) -> Part:
        return next(part for wave in self._waves() for part in wave if part.name == name)


class FaultSite:
    """A running `stack` with a `proxy` before the router, the store and the broker, and `disks` by part, or none."""

    def __init__(self, stack: Disturbed, proxy: Toxiproxy, disks: Mapping[str, PowerDisk]) -> None:
        self.stack = stack
        self.proxy = proxy
        self.disks = disks
        self.target = Target("RADSTREAM", ports.HOST, stack.between[SENDERS])
        self.spool = stack.home / "data" / "router" / "spool"


@contextmanager
def running_site(seed: int) -> Iterator[FaultSite]:
    """All of it started in an empty home; taken down and removed afterwards."""
    base = new_home()
    home = base / "home"
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, base)
        disks = _disks(base, undo)
        with ports.choosing(cache.folder().parent, home) as taken:
            stack = Disturbed(home, ports.choose(_PORTS, taken))
        # What ends may still have something to say through it.
        proxy = undo.enter_context(run_toxiproxy(stack.between["toxiproxy"], seed))
        undo.callback(stack.down)
        stack.deploy(NO_MODELS)
        _lay(home, disks)
        write_ids(home / settings_file.SCHEMA_IDS, {})
        routed(home).write_text(_through_proxies(stack), encoding="utf-8")
        for link, upstream in (
            (SENDERS, stack.ports["router"]),
            (STORE, stack.ports["store"]),
            (LOG, stack.between["kafka-behind"]),
        ):
            proxy.proxy(link, stack.between[link], upstream)
        stack.up()
        with _logs_kept(home):
            yield FaultSite(stack, proxy, disks)


@contextmanager
def _logs_kept(home: Path) -> Iterator[None]:
    """Of a run that fails, the logs of its parts."""
    try:
        yield
    except BaseException:
        kept = Path(tempfile.mkdtemp(prefix="radstream-rounds-"))
        shutil.copytree(home / "logs", kept, dirs_exist_ok=True)
        print(f"the logs of all parts are kept in {kept}", file=sys.stderr)  # noqa: T201
        raise


def _disks(base: Path, undo: ExitStack) -> Mapping[str, PowerDisk]:
    """A disk for each part that has one; none where this machine cannot make them."""
    disks: dict[str, PowerDisk] = {}
    for part, size in DISK_BYTES.items():
        folder = base / f"disk-of-{part}"
        folder.mkdir(mode=0o755)
        try:
            disk = PowerDisk(folder, size)
        except (OSError, subprocess.CalledProcessError):
            return {}
        undo.callback(disk.remove)
        undo.callback(wait_until, disk.is_pulled_out, f"the last process to let go of the disk of {part}")
        disks[part] = disk
    return disks


def _lay(home: Path, disks: Mapping[str, PowerDisk]) -> None:
    """The folders of the parts onto their disks."""
    for part, disk in disks.items():
        (disk.path / part).mkdir(mode=0o755)
        folder = home / "data" / part
        if folder.exists():
            folder.rmdir()
        folder.symlink_to(disk.path / part)
    for name in ("spool", "objects"):
        (home / "data" / "router" / name).mkdir(parents=True, mode=0o700)


def _through_proxies(stack: Disturbed) -> str:
    text = stack.config_path.read_text(encoding="utf-8")
    between, folder = stack.between, stack.home / "data" / "router"
    spooling = ", ".join(f'{title} = "spool"' for title in SPOOLING)
    for old, new in (
        (f"{ports.HOST}:{stack.ports['kafka']}", f"{ports.HOST}:{between[LOG]}"),
        (f"http://{ports.HOST}:{stack.ports['store']}", f"http://{ports.HOST}:{between[STORE]}"),
        # What is above a megabyte comes in through files, so that these meet a full disk too.
        ("\n[router]\n", f'\n[router]\nobjects_folder = "{folder / "objects"}"\nobjects_memory_bytes_max = 0\n'),
        # Small segments and little patience: much happens in a round.
        (
            f'folder = "{folder / "spool"}"\n',
            f'folder = "{folder / "spool"}"\nacknowledge_of = {{ {spooling} }}\nbudget_bytes = {192 << 20}\n'
            f"free_bytes_min = 0\nsegment_bytes = {4 << 20}\npatience_s = 1.0\n",
        ),
    ):
        assert old in text, old
        text = text.replace(old, new)
    return text
