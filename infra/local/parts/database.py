"""PostgreSQL with a data folder of its own, over TCP on loopback with SCRAM passwords."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from infra.local import home, ports, process
from infra.local.errors import StackError
from infra.local.parts.part import Site
from infra.local.process import Launch
from infra.local.tools import postgres

ACCOUNT = "postgres"
NAME = "radstream"
SETTINGS = {
    "listen_addresses": ports.HOST,
    # A socket file's path may have 107 bytes, and a checkout may lie deeper than that.
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "timezone": "UTC",
    # Values of rows and statements can be patient attributes: they stay out of the log.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_timezone": "UTC",
    "cluster_name": "radstream",
}


def dsn(port: int, password: str, user: str = NAME, database: str = NAME) -> str:
    return f"postgresql://{user}:{password}@{ports.HOST}:{port}/{database}"


class Database:
    name = "postgres"
    # SIGINT is PostgreSQL's fast shutdown: clients are sent away, everything is written.
    stop_signal = signal.SIGINT
    start_s_max = 300.0
    stop_s_max = 30.0

    def __init__(self, site: Site) -> None:
        self._site = site
        self._port = site.state.ports["postgres"]

    @property
    def ports(self) -> Sequence[int]:
        return (self._port,)

    @property
    def waits_for(self) -> str:
        return f"its first answer on {ports.HOST}:{self._port}"

    @property
    def _folder(self) -> Path:
        return self._site.data(self.name) / "cluster"

    def prepare(self) -> None:
        user = _account()
        parent = self._site.data(self.name)
        if user:
            self._check_way(parent, user)
            shutil.chown(parent, user, user)
            parent.chmod(0o700)
        if not self._folder.exists():
            self._make(parent, user)
        _wait_for_leftovers(self._folder)

    def launch(self) -> Launch:
        program = postgres.binaries() / "postgres"
        options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        argv = [str(program), "-D", str(self._folder), "-p", str(self._port), *options]
        return Launch(argv, {"LC_ALL": "C"}, user=_account())

    def ready(self) -> bool:
        if not ports.is_listening(self._port):
            return False
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def set_up(self) -> None:
        """The role and the database of the catalog. Can be repeated."""
        secret = self._site.state.secrets.database
        with self._connect() as connection:
            role = connection.execute("select 1 from pg_roles where rolname = %s", (NAME,)).fetchone()
            verb = sql.SQL("alter role {} login password {}" if role else "create role {} login password {}")
            connection.execute(verb.format(sql.Identifier(NAME), sql.Literal(secret)))
            if not connection.execute("select 1 from pg_database where datname = %s", (NAME,)).fetchone():
                connection.execute(sql.SQL("create database {0} owner {0}").format(sql.Identifier(NAME)))

    def _connect(self) -> psycopg.Connection:
        where = dsn(self._port, self._site.state.secrets.database_admin, user=ACCOUNT, database="postgres")
        return psycopg.connect(where, autocommit=True, connect_timeout=5)

    def _make(self, parent: Path, user: str | None) -> None:
        """initdb into a folder beside, then a rename: what was interrupted is never taken for a cluster."""
        new, password = parent / "cluster.new", parent / "password"
        shutil.rmtree(new, ignore_errors=True)
        password.write_text(self._site.state.secrets.database_admin)
        password.chmod(0o600)
        if user:
            shutil.chown(password, user, user)
        options = ("--username", ACCOUNT, "--pwfile", str(password), "--auth", "scram-sha-256")
        # The C locale: order and checksums do not depend on the machine.
        shape = ("--encoding", "UTF8", "--no-locale", "--data-checksums")
        try:
            process.run(
                [str(postgres.binaries() / "initdb"), "-D", str(new), *options, *shape],
                "making the database",
                user=user,
            )
            new.rename(self._folder)
        finally:
            password.unlink()

    def _check_way(self, folder: Path, user: str) -> None:
        """PostgreSQL runs as `user`, who has to reach the folder."""
        for parent in reversed(folder.parents):
            if not parent.stat().st_mode & 0o001 and parent.owner() != user:
                raise StackError(
                    f"{parent}: PostgreSQL refuses to run as root, and its account {user} cannot enter this folder; "
                    f"set {home.ENVIRONMENT} to a folder that every user can enter"
                )


def _account() -> str | None:
    """The account PostgreSQL runs as: ours, or Debian's `postgres` where we are root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(ACCOUNT).pw_name
    except KeyError:
        raise StackError(
            f"PostgreSQL refuses to run as root, and there is no account {ACCOUNT}; run: apt-get install postgresql"
        ) from None


def _wait_for_leftovers(folder: Path) -> None:
    """A killed server's children end by themselves within moments; a new server refuses to start before."""
    left = []
    for found in psutil.process_iter():
        try:
            if found.name() == "postgres" and found.cwd() == str(folder):
                left.append(found)
        except psutil.Error:
            continue
    psutil.wait_procs(left, timeout=10)
