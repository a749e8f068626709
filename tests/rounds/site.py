"""What the rounds disturb: broker, store, catalog and router, with proxies between them and small disks under them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from infra.local import ports, settings_file
from infra.local.tools import cache
from streams.schema_ids import write_ids
from streams.store_scu import Target
from tests.power import PowerDisk
from tests.rounds.parts import BROKER, LOG, SENDERS, STORE, Disturbed, routed
from tests.rounds.toxiproxy import Toxiproxy, run_toxiproxy
from tests.running_stack import NO_MODELS, new_home
from tests.waiting import wait_until

# Away from those that stacks choose.
_PORTS = {"toxiproxy": 24474, SENDERS: 24112, STORE: 24070, LOG: 24092, BROKER: 24192}
DISK_BYTES: Mapping[str, int] = {"store": 12 << 30, "router": 512 << 20}
SPOOLING = ("SPOOLS1", "SPOOLS2")


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
            (LOG, stack.between[BROKER]),
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
        ("\n[router]\n", "\n[router]\nobjects_memory_bytes_max = 0\n"),
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
