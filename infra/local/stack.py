"""The stack as one thing: what is up, what is not, and how to change it."""

from __future__ import annotations

import fcntl
import shutil
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from infra.local import durable, ended, founding, ports, process, settings_file, setup, state
from infra.local import home as homes
from infra.local.errors import StackError
from infra.local.parts.database import Database
from infra.local.parts.kafka import Broker
from infra.local.parts.part import Part, Site
from infra.local.parts.registry import Registry
from infra.local.parts.services import MODULES, Service
from infra.local.parts.store import Store
from infra.local.parts.triton import Triton
from infra.local.process import Running
from infra.local.restarting import Restarted, TakingOver, settle
from infra.local.state import State
from infra.local.tools import triton

POLL_S = 0.1
SAY_AGAIN_S = 10.0
WIPE_S_MAX = 5.0  # its data goes anyway
LOG_LINES = 15


class Stack:
    """The stack of one home. `say` takes progress, a line at a time. Every method may raise StackError."""

    def __init__(self, home: Path | None = None, say: Callable[[str], None] = lambda _: None) -> None:
        self.home = (home or homes.default_home()).absolute()
        self._say = say

    @property
    def config_path(self) -> Path:
        return self.home / "radstream.toml"

    @property
    def state(self) -> State:
        found = state.read(self.home)
        if found is None:
            raise StackError(f"{self.home}: no stack was ever started here; run: radstream up")
        return found

    @property
    def ports(self) -> Mapping[str, int]:
        return self.state.ports

    @property
    def names(self) -> tuple[str, ...]:
        """The parts, in the order in which they start."""
        return tuple(part.name for wave in self._waves() for part in wave)

    def up(
        self, parts: Collection[str] = (), brokers: int | None = None, *, production: bool = False
    ) -> tuple[str, ...]:
        """Starts what is not running, of `parts` or of all; the names of what it started.

        `production` refuses a file system that cannot keep what the object store acknowledges.
        """
        homes.check_room(self.home)
        with self._locked():
            founding.found(self.home, brokers)
            settings_file.ensure(self._site())
            self._settle()
            chosen = self._chosen(parts)
            servers, services = self._waves()
            started = self._start([part for part in servers if part.name in chosen])
            setup.servers(self._site(), self.running())
            if production and not self.state.durable:
                raise StackError(
                    f"{self.home}: its file system cannot write through (chattr +S), so an acknowledged image could be "
                    f"lost with the power; set {homes.ENVIRONMENT} to a folder on ext4, xfs or btrfs"
                )
            if started:
                # Before anything is acknowledged: what it will stand on is on the disk.
                durable.sync(self.home)
            started += self._start([part for part in services if part.name in chosen])
            setup.finish(self._site(), self.running())
            return tuple(started)

    def down(self, parts: Collection[str] = ()) -> tuple[str, ...]:
        """Stops what is running, of `parts` or of all, the last started first; the names of what it stopped."""
        if state.read(self.home) is None:
            return ()
        with self._locked():
            return self._stopped(self._chosen(parts))

    def restart(self, parts: Collection[str]) -> tuple[Restarted, ...]:
        """Starts parts anew, with the code and the configuration that are there now. Where a part hands over, a newer
        process takes over from the one that runs, and nobody who connects is refused; the others are stopped first.
        """
        chosen = self._chosen(parts)
        with self._locked():
            handing = [part for part in self._services(chosen) if part.hands_over]
            running = {part.name: (part, record) for part in handing if (record := self._record(part.name))}
            taken_over = [self._taken_over(part, record) for part, record in running.values()]
        others = [name for name in self.names if name in chosen and name not in running]
        return (*taken_over, *self._started_anew(others))

    def wipe(self) -> None:
        """Ends everything and removes all its data, also where `stack.json` is spoilt."""
        if not self.home.exists():
            return
        with self._locked():
            try:
                self._stopped(self.names)
            except StackError:
                self._end_what_is_recorded()
            shutil.rmtree(self.home)

    def kill(self, part: str) -> None:
        """SIGKILL to a part and all it started, as a crash would."""
        self._chosen((part,))
        if record := self._record(part):
            process.kill(record)
            process.reap()

    def pid(self, part: str) -> int:
        """Raises StackError where the part is not running."""
        self._chosen((part,))
        record = self._record(part)
        if record is None:
            raise StackError(f"{part} is not running; start it: radstream up {part}")
        return record.pid

    def running(self) -> dict[str, int]:
        """Process id by part, of the parts that are running."""
        if state.read(self.home) is None:
            return {}
        return {name: record.pid for name in self.names if (record := self._record(name))}

    def ended(self) -> dict[str, str]:
        """Why it ended by itself, by part: of those that do not run, and whose log says so."""
        return {name: why for name in self.names if (why := self._why_ended(name))}

    def log(self, part: str) -> Path:
        return self.home / "logs" / f"{part}.log"

    def _services(self, names: Collection[str]) -> list[Service]:
        return [Service(self._site(), name) for name in MODULES if name in names]

    def _settle(self) -> None:
        """What a restart left that somebody ended with SIGKILL."""
        for part in self._services(MODULES):
            settle(part, self._record_path(part.name))

    def _taken_over(self, part: Service, record: Running) -> Restarted:
        taking_over = TakingOver(part, self._record_path(part.name), self.log(part.name), self.home, self._say)
        try:
            return taking_over.run(record, lambda: self._tail(part.name))
        except OSError as error:
            raise StackError(f"{part.name} cannot be started: {error.strerror} ({error.filename})") from None

    def _started_anew(self, names: Sequence[str]) -> tuple[Restarted, ...]:
        if not names:
            return ()
        began = time.monotonic()
        before = {part.name: part.serving() for part in self._services(names)}
        self.down(names)
        self.up(names)
        now = {part.name: part.serving() for part in self._services(names)}
        seconds = round(time.monotonic() - began, 3)
        return tuple(
            Restarted(part=name, how="stopped_and_started", before=before.get(name), now=now.get(name), seconds=seconds)
            for name in names
        )

    def _site(self) -> Site:
        return Site(self.home, self.state, self._say)

    def _waves(self) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        """Servers first, then our services. Within a wave nothing needs another, so all start at once."""
        site = self._site()
        brokers = (Broker(site, number) for number in range(1, site.state.brokers + 1))
        return (
            (*brokers, Registry(site), Store(site), Database(site), *((Triton(site),) if triton.is_usable() else ())),
            tuple(Service(site, name) for name in MODULES),
        )

    def _chosen(self, parts: Collection[str]) -> Collection[str]:
        known = self.names
        for name in parts:
            if name not in known:
                raise StackError(f"no part is called {name!r}; there are: {', '.join(known)}")
        return parts or known

    @contextmanager
    def _locked(self) -> Iterator[None]:
        homes.make(self.home)
        with (self.home / homes.LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._say(f"waiting for another radstream command to finish with {self.home}")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start(self, parts: Sequence[Part]) -> list[str]:
        missing = [part for part in parts if self._record(part.name) is None]
        for part in missing:
            self._check_ports(part)
        for part in missing:
            if why := self._why_ended(part.name):
                self._say(f"{part.name} had ended: {why}; starting it again")
            part.prepare()
            self._launch(part)
        for part in missing:
            self._wait(part)
        return [part.name for part in missing]

    def _check_ports(self, part: Part) -> None:
        for port in part.ports:
            if not ports.is_free(port):
                raise StackError(
                    f"{part.name} cannot start: its port {port} is taken by {ports.owner(port)}; stop that, or change "
                    f"the port in {self.home / homes.STATE} and {self.config_path}"
                )

    def _launch(self, part: Part) -> None:
        try:
            running = process.start(part.launch(), self.log(part.name), self.home)
        except OSError as error:
            raise StackError(f"{part.name} cannot be started: {error.strerror} ({error.filename})") from None
        state.write_private(self._record_path(part.name), msgspec.json.encode(running))

    def _wait(self, part: Part) -> None:
        began = said = time.monotonic()
        self._say(f"{part.name}: waiting for {part.waits_for}")
        while not part.ready():
            now = time.monotonic()
            if self._record(part.name) is None:
                raise StackError(f"{part.name} ended while starting.{self._tail(part.name)}")
            if now - began > part.start_s_max:
                raise StackError(f"{part.name} gave no answer in {part.start_s_max:.0f} s.{self._tail(part.name)}")
            if now - said > SAY_AGAIN_S:
                self._say(f"{part.name}: still waiting for {part.waits_for} ({now - began:.0f} s)")
                said = now
            time.sleep(POLL_S)
        self._say(f"{part.name}: ready")

    def _stopped(self, chosen: Collection[str]) -> tuple[str, ...]:
        """Services first, then servers. A wave ends together: a quorum of brokers cannot be left one by one."""
        self._settle()
        stopped: list[str] = []
        for wave in reversed(self._waves()):
            ending = [
                (part, process.ask(record, part.stop_signal))
                for part in reversed(wave)
                if part.name in chosen and (record := self._record(part.name))
            ]
            if ending:
                self._say(f"stopping {', '.join(part.name for part, _ in ending)}")
            for part, asked in ending:
                if not process.end(asked, part.stop_s_max):
                    self._say(f"{part.name}: did not stop in {part.stop_s_max:.0f} s and was killed")
                self._record_path(part.name).unlink(missing_ok=True)
                stopped.append(part.name)
        process.reap()
        return tuple(stopped)

    def _end_what_is_recorded(self) -> None:
        """Without the state nobody knows which part is which; its data goes anyway."""
        for path in (self.home / "run").glob("*.json"):
            if record := self._record(path.stem):
                process.end(process.ask(record, signal.SIGTERM), WIPE_S_MAX)
        process.reap()

    def _tail(self, part: str) -> str:
        """The end of a part's log, for an error message."""
        path = self.log(part)
        record = self._recorded(part)
        errors = ended.errors(path, LOG_LINES, record.log_from if record else 0)
        lines = ["What it calls errors:", *errors] if errors else []
        lines += [f"The last lines of {path}:", *ended.last_lines(path, LOG_LINES)]
        return "".join(f"\n  {line}" for line in lines)

    def _why_ended(self, part: str) -> str | None:
        """None also where it runs, or was stopped."""
        process.reap()
        record = self._recorded(part)
        if record is None or process.is_alive(record):
            return None
        return ended.reason(self.log(part), part, record.log_from)

    def _record_path(self, part: str) -> Path:
        return self.home / "run" / f"{part}.json"

    def _record(self, part: str) -> Running | None:
        """The process of a part, where it is alive."""
        process.reap()
        record = self._recorded(part)
        return record if record and process.is_alive(record) else None

    def _recorded(self, part: str) -> Running | None:
        """The process that was last started as that part and not stopped since, alive or not."""
        try:
            return msgspec.json.decode(self._record_path(part).read_bytes(), type=Running)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None
