"""The servers that are looked at: this gateway in a stack of its own, and Orthanc with its DICOMweb plugin."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.contenders import Contender
from bench.ingest_stack import version
from bench.own_stack import own_stack
from consumers.catalog.config import Settings as Catalog
from consumers.catalog.database import snapshot
from gateway.config import Settings as Gateway
from infra.local import home as homes
from infra.local import ports
from infra.local.errors import StackError
from infra.local.stack import Stack
from radstream.errors import Failure
from radstream.items import Item
from radstream.send import router_of
from radstream.sending import send_items
from streams import config as configuration
from streams.config import Config
from streams.store_scu import Target

OURS: Final = "radstream"
ORTHANC: Final = "orthanc"
PLUGIN: Final = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_PARTS: Final = ("kafka", "registry", "store", "postgres", "validate", "derive", "catalog", "gateway", "router")
# What answers a request, of ours.
_ANSWERING: Final = ("gateway", "postgres", "store")
_FILLED_S_MAX: Final = 1800.0
_STARTED_S_MAX: Final = 60.0
_ASSOCIATIONS: Final = 4
_HELD_MB: Final = 512


@dataclass(frozen=True)
class Server:
    """`root` is the URL of its DICOMweb service; `pids` are the processes that answer, by name.

    `restart` starts anew what holds in memory what it has read.
    """

    contender: Contender
    root: str
    pids: Callable[[], Mapping[str, int]]
    fill: Callable[[Sequence[Item]], None]
    restart: Callable[[], None]


@dataclass(frozen=True)
class Ours(Server):
    config: Config


@contextlib.contextmanager
def ours(say: Callable[[str], None]) -> Iterator[Ours]:
    """A stack of its own, removed afterwards. Raises Failure where it does not start."""
    with own_stack(say) as stack:
        try:
            stack.up(_PARTS)
        except StackError as error:
            raise Failure(f"the stack to be measured did not start: {error}") from None
        config = configuration.load(stack.config_path)
        gateway = config.section("gateway", Gateway)
        yield Ours(
            Contender(OURS, "its gateway, database and store, as `radstream up` sets them", version()),
            f"http://{gateway.host}:{gateway.port}/dicomweb",
            lambda: {name: stack.pid(name) for name in _ANSWERING},
            lambda items: _filled(config, items),
            lambda: _restarted(stack),
            config,
        )


def _restarted(stack: Stack) -> None:
    try:
        stack.restart(("gateway",))
    except StackError as error:
        raise Failure(f"the gateway did not start again: {error}") from None


def _filled(config: Config, items: Sequence[Item]) -> None:
    """Sends, and returns when each has its copies and rows."""
    before = _derived(config)
    _sent(router_of(config), items)
    until_s = time.monotonic() + _FILLED_S_MAX
    while _derived(config) < before + len(items):
        if time.monotonic() > until_s:
            raise Failure("what was sent did not come through the pipeline; see the stack's logs")
        time.sleep(0.5)


def _derived(config: Config) -> int:
    with snapshot(config.section("catalog", Catalog).dsn) as cursor:
        (count,) = cursor.execute("SELECT count(*) FROM derivations").fetchone() or (0,)
    return int(count)


def _sent(target: Target, items: Sequence[Item]) -> None:
    sent = send_items(list(items), target, associations=_ASSOCIATIONS)
    if sent.statuses != {"0000": len(items)}:
        raise Failure(f"{target} did not take all images: {sent.statuses}")


@contextlib.contextmanager
def orthanc() -> Iterator[Server]:
    """On loopback, with its defaults but for the plugin, its cache and Nagle's algorithm. Raises Failure."""
    program = shutil.which("Orthanc")
    if program is None or not PLUGIN.is_file():
        raise Failure("apt-get install orthanc orthanc-dicomweb")
    with tempfile.TemporaryDirectory(prefix="radstream-bench-", dir=homes.default_home().parent) as work:
        folder = Path(work)
        chosen = ports.choose({"dicom": 14242, "http": 18142}, ())
        (folder / "orthanc.json").write_text(json.dumps(_settings(folder, chosen)), encoding="utf-8")
        running = _Orthanc(program, folder, chosen)
        try:
            running.start()
            said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
            yield Server(
                Contender(
                    ORTHANC,
                    f"DICOMweb plugin, SQLite, files, {_HELD_MB} MB of cache",
                    said.splitlines()[0] if said else "?",
                ),
                f"http://127.0.0.1:{chosen['http']}/dicom-web",
                lambda: {ORTHANC: running.pid},
                lambda items: _sent(Target("ORTHANC", "127.0.0.1", chosen["dicom"]), items),
                running.restart,
            )
        finally:
            running.stop()


class _Orthanc:
    def __init__(self, program: str, folder: Path, chosen: Mapping[str, int]) -> None:
        self._program, self._folder, self._chosen = program, folder, chosen
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise Failure("Orthanc does not run")
        return self._process.pid

    def start(self) -> None:
        """Raises Failure."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, str(self._folder / "orthanc.json")],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TCP_NODELAY": "1"},
            )
        _wait(self._process, self._chosen)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def restart(self) -> None:
        """Raises Failure."""
        self.stop()
        self.start()


def _settings(folder: Path, chosen: Mapping[str, int]) -> dict[str, object]:
    return {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "Plugins": [str(PLUGIN)],
        "DicomPort": chosen["dicom"],
        "HttpPort": chosen["http"],
        "RemoteAccessAllowed": False,
        "DicomAlwaysAllowStore": True,
        "SyncStorageArea": False,
        # In MB, of what it has read: as much as our gateway holds.
        "MaximumStorageCacheSize": _HELD_MB,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "QidoCaseSensitive": False},
    }


def _wait(process: subprocess.Popen[bytes], chosen: Mapping[str, int]) -> None:
    until_s = time.monotonic() + _STARTED_S_MAX
    while not all(map(ports.is_listening, chosen.values())):
        if process.poll() is not None or time.monotonic() > until_s:
            raise Failure("Orthanc did not start")
        time.sleep(0.1)
