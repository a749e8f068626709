"""What the readers' faults disturb: a stack, a Redis of the test's own, and the files in which bytes are kept."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from redis import Redis
from redis.exceptions import RedisError

from consumers.catalog.config import Settings as Catalog
from consumers.catalog.database import snapshot
from tests.readers.studies import Image
from tests.running_stack import RunningStack
from tests.waiting import wait_until

SERVING = ("gateway", "retrieve")
KEPT = ("store", "postgres", *SERVING)


class Cache:
    """A Redis in memory, on a socket file."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._door = folder, folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._door}"

    def start(self) -> None:
        command = ["redis-server", "--port", "0", "--unixsocket", str(self._door), "--save", ""]
        self._process = subprocess.Popen([*command, "--dir", str(self._folder)], stdout=subprocess.DEVNULL)
        wait_until(self._answers, "redis-server")

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait()

    def flip(self) -> int:
        """One bit in each picture that it holds; how many."""
        flipped = 0
        with Redis.from_url(self.url) as client:
            for key in list(client.scan_iter("radstream:frame:*")):
                data = client.get(key)
                if isinstance(data, bytes):
                    client.set(key, _flipped(data, len(data) // 2))
                    flipped += 1
        return flipped

    def _answers(self) -> bool:
        with suppress(RedisError), Redis.from_url(self.url) as client:
            return bool(client.ping())
        return False


class Site:
    """`cache` is None where there is no redis-server."""

    def __init__(self, stack: RunningStack, cache: Cache | None) -> None:
        self.stack, self.cache = stack, cache

    def signal(self, part: str, number: signal.Signals) -> None:
        """To the part and all that it started: a database is as many processes as it has connections."""
        first = psutil.Process(self.stack.pid(part))
        for process in (first, *first.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def keep(self) -> None:
        """As whoever keeps a stack does: what ended is started again. Until what serves readers answers."""
        for name in set(self.stack.names) - set(self.stack.running()):
            self.stack.launch(name)
        self.stack.wait(KEPT)

    def copies(self, image: Image) -> list[Path]:
        """The files that hold it, the fastest store's first."""
        tiers = self.stack.home / "data" / "store" / "tiers"
        found = [
            path for name in ("hot", "warm", "cold", "backup") for path in (tiers / name).rglob(f"{image.digest}*")
        ]
        return [path for path in found if path.is_file()]

    def thumbnail(self, image: Image) -> tuple[Path, int]:
        """The file that holds what derive made of it, and where the thumbnail begins."""
        with snapshot(self.stack.config.section("catalog", Catalog).dsn) as cursor:
            (row,) = cursor.execute(
                "SELECT store, object_key, first_byte FROM current_derivatives "
                "WHERE digest = %s AND kind = 'thumbnail'",
                (image.digest,),
            ).fetchall()
        store, key, first = row
        return self.stack.home / "data" / "store" / "tiers" / store / key, int(first)

    def cached(self) -> list[Path]:
        """Everything that the gateway keeps on its disk: pictures, headers, tables of frames, digests of blocks."""
        return [path for path in (self.stack.home / "run" / "frames").rglob("*") if path.is_file()]


def flip(path: Path, at: int) -> bytes:
    """One bit of a file; what the file was."""
    before = path.read_bytes()
    path.write_bytes(_flipped(before, at))
    return before


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


@contextmanager
def running_site(stack: RunningStack) -> Iterator[Site]:
    """Its gateway and its retrieve service read through a Redis too, if there is one; afterwards all is as it was."""
    before = stack.config_path.read_text(encoding="utf-8")
    nodes = stack.config_path.parent / "nodes.toml"
    nodes_before = nodes.read_bytes() if nodes.exists() else None
    folder = Path(tempfile.mkdtemp(prefix="radstream-readers-"))
    cache = Cache(folder) if shutil.which("redis-server") else None
    try:
        if cache is not None:
            cache.start()
            head = "\n[frame_cache]\n"
            assert head in before
            said = before.replace(head, f'{head}redis_url = "{cache.url}"\n')
            stack.config_path.write_text(said, encoding="utf-8")
            stack.restart(SERVING)
        yield Site(stack, cache)
    finally:
        stack.config_path.write_text(before, encoding="utf-8")
        nodes.unlink(missing_ok=True)
        if nodes_before is not None:
            nodes.write_bytes(nodes_before)
        stack.up()
        stack.restart(SERVING)
        if cache is not None:
            cache.signal(signal.SIGKILL)
        shutil.rmtree(folder)
