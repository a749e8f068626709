"""A PostgreSQL server of a test's own: one that may be stopped, killed and filled."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from infra.local.tools import postgres
from tests.ports import free_port
from tests.waiting import wait_until


@dataclass
class Server:
    folder: Path
    port: int
    account: str | None
    process: subprocess.Popen[bytes] | None = None

    def dsn(self, database: str = "postgres") -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"

    def start(self) -> None:
        program = str(postgres.binaries() / "postgres")
        # It is killed, and its machine never loses power: without fsync, hundreds of schemas are made sooner.
        options = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "timezone=UTC", "fsync=off")
        argv = [program, "-D", str(self.folder / "data"), "-p", str(self.port)]
        self.process = subprocess.Popen(
            [*argv, *(part for option in options for part in ("-c", option))],
            user=self.account,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers, "PostgreSQL's first answer")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT is PostgreSQL's fast shutdown, SIGQUIT the immediate one: a crash, with recovery at the start."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None

    def signal_all(self, how: signal.Signals) -> None:
        """To the server and to those of its processes that serve a connection each."""
        assert self.process is not None
        served = psutil.Process(self.process.pid)
        served.send_signal(how)
        for one in served.children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # One that looked after tables ends by itself.
                one.send_signal(how)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It hangs, and its machine goes on."""
        self.signal_all(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal_all(signal.SIGCONT)

    def new_database(self, name: str, template: str = "template1") -> str:
        """An empty database, or a copy of another that nobody is in; returns its DSN."""
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            # Without fsync a copy of files costs a quarter of one through the log.
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy'.encode())
        return self.dsn(name)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.dsn(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def run_postgres() -> Iterator[Server]:
    """Starts a server in a new folder, and ends it. The server refuses root: then it runs as `postgres`."""
    account = pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="radstream-postgres-"))
    if account:
        shutil.chown(folder, account, account)
    server = Server(folder, free_port(), account)
    shape = ("--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync")
    try:
        subprocess.run(
            [str(postgres.binaries() / "initdb"), "-D", str(folder / "data"), *shape],
            user=account,
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        server.start()
        yield server
    finally:
        # Nobody reads it again, so it need not write down what it has in memory.
        server.stop(signal.SIGQUIT)
        shutil.rmtree(folder)
