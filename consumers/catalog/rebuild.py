"""The catalog once more, from the log: into tables beside the live ones, compared, then perhaps in their place.

The live consumer goes on meanwhile. For the comparison it has to stand still: its ledger is locked, the new tables are
brought to exactly where it is, and both are summed. The switch happens under the same lock, so the consumer finds the
ledger where it left it and does not notice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import islice

import msgspec
from psycopg import sql

from consumers.catalog import ledger
from consumers.catalog.attributes import Blocks
from consumers.catalog.checksum import Checksum, checksum
from consumers.catalog.database import SCHEMA, Connection, Cursor, Writer, connect, snapshot
from consumers.catalog.migrate import migrate
from consumers.catalog.progress import Offsets, behind, log_ends
from consumers.catalog.reading import Reads
from consumers.catalog.step import Catalog
from consumers.catalog.summarizing import refresh_all
from streams.events import Event
from streams.log import Log, TopicPartition
from streams.step import Input
from streams.stop import Stop
from streams.wire import Undecodable, decode

NEW, OLD = "catalog_rebuild", "catalog_replaced"
_BATCH = 500
_LOCK = 7_240_732
_PATIENCE_S = 30.0
_POLL_S = 0.2
# What images say of their study; of those from before migration 0017 a live catalog has only what the first one said.
_OF_WORDS = frozenset(("patients", "study_imports"))

Told = Callable[[int, int], None]
"""Told how many records are read, and of how many."""


class Rebuilt(msgspec.Struct, frozen=True):
    """`live` is None where there is no live catalog of these topics that is as far as their end was at the start.

    A live catalog that differs stays, whatever was asked for: which of the two is wrong is for a person to find out.

    `unreadable` records are dead letters of the live consumer too: they have no rows in either.
    """

    records: int
    unreadable: int
    rebuilt: Checksum
    live: Checksum | None
    differing: list[str]
    switched: bool

    @property
    def equal(self) -> bool | None:
        return None if self.live is None else not self.differing


class Rebuild:
    def __init__(self, dsn: str, log: Log, blocks: Blocks, told: Told) -> None:
        self._dsn = dsn
        self._log = log
        self._blocks = blocks
        self._told = told
        self._records = 0
        self._unreadable = 0

    def run(self, *, switch: bool) -> Rebuilt:
        """Switches where the two are equal, or where there is nothing to compare with.

        Raises Away, LogAway, LogRefused, OffsetOutOfRange, UnknownSchema, and Stop: a gap, or another rebuild.
        """
        with self._alone(), closing(Writer(self._dsn, NEW)) as writer:
            self._prepare()
            ends = log_ends(self._log)
            catalog = Catalog(writer, self._blocks, self._log.topic_id, self._unread)
            self._project(catalog, ends)
            refresh_all(writer)
            self._wait_for_live(ends)
            with self._standing_still() as cursor:
                return self._compare(catalog, cursor, ends, switch)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with connect(self._dsn) as connection:
            connection.autocommit = True
            found = connection.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
            if not found or not found[0]:
                raise Stop("another rebuild of this catalog is running; wait for it to end")
            yield

    def _prepare(self) -> None:
        with connect(self._dsn) as connection:
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(NEW)))
        migrate(self._dsn, "before", NEW)
        migrate(self._dsn, "after", NEW)
        with connect(self._dsn, NEW) as connection:
            # A rebuilt row says nothing of how long its image was on the way.
            connection.execute("ALTER TABLE instances ALTER cataloged_at DROP DEFAULT")

    def _project(self, catalog: Catalog, ends: Offsets) -> None:
        """Brings the new tables to `ends`, one partition after the other: order between them does not matter."""
        starts = catalog.positions(list(ends))
        total = self._records + sum(end - starts.get(name, 0) for name, end in ends.items())
        for name, end in ends.items():
            if (start := starts.get(name, 0)) < end:
                self._project_one(catalog, name, start, end, total)

    def _project_one(self, catalog: Catalog, name: TopicPartition, start: int, end: int, total: int) -> None:
        read = iter(self._log.read(name, start, end))
        while start < end:
            records = list(islice(read, _BATCH))
            batch: list[Input[Event]] = []
            for record in records:
                try:
                    batch.append(Input(decode(record), record))
                except Undecodable:
                    self._unreadable += 1
            start = records[-1].offset + 1 if len(records) == _BATCH else end
            catalog.apply(batch, {name: start})
            self._records += len(records)
            self._told(self._records, total)

    def _unread(self, item: Input[Event], reason: str) -> None:
        """The live consumer has put the same record into its dead letters."""
        self._unreadable += 1

    # The live catalog.

    def _wait_for_live(self, ends: Offsets) -> None:
        """Until the live consumer is as far, or has not moved for a while: then there is nothing to compare with."""
        if not self._live_is_there():
            return
        last, since_s = -1, time.monotonic()
        with closing(Reads(self._dsn)) as reads:
            while time.monotonic() - since_s < _PATIENCE_S:
                with reads.snapshot() as cursor:
                    missing = sum(behind(cursor, ends).values())
                if missing == 0:
                    return
                if missing != last:
                    last, since_s = missing, time.monotonic()
                time.sleep(_POLL_S)

    def _live_is_there(self) -> bool:
        with connect(self._dsn) as connection:
            found = connection.execute("SELECT to_regclass('ledger') IS NOT NULL").fetchone()
        return bool(found and found[0])

    @contextmanager
    def _standing_still(self) -> Iterator[Cursor]:
        """A transaction in which the live consumer, if any, cannot move its ledger."""
        there = self._live_is_there()
        with connect(self._dsn) as connection, connection.cursor() as cursor:
            if there:
                # Who waits for it finds the new table once the schemas have changed names.
                cursor.execute("LOCK TABLE ledger IN EXCLUSIVE MODE")
            yield cursor

    def _compare(self, catalog: Catalog, cursor: Cursor, ends: Offsets, switch: bool) -> Rebuilt:
        live = self._live_ends(cursor)
        comparable = live is not None and all(live.get(name, 0) >= end for name, end in ends.items())
        if live is not None and comparable:
            self._project(catalog, live)
        with snapshot(self._dsn, NEW) as new:
            rebuilt = checksum(new)
        of_live = checksum(cursor) if comparable else None
        differing = rebuilt.differing(of_live) if of_live else []
        if differing and _lacks_words(cursor):
            # That is what it is rebuilt for.
            differing = [name for name in differing if name not in _OF_WORDS]
        if switched := switch and not differing:
            _switch(cursor.connection)
        return Rebuilt(
            records=self._records,
            unreadable=self._unreadable,
            rebuilt=rebuilt,
            live=of_live,
            differing=differing,
            switched=switched,
        )

    def _live_ends(self, cursor: Cursor) -> Mapping[TopicPartition, int] | None:
        found = cursor.execute("SELECT to_regclass('ledger') IS NOT NULL").fetchone()
        if not found or not found[0]:
            return None
        places = ledger.read(cursor)
        if any(self._log.topic_id(name.topic) != place.topic_id for name, place in places.items()):
            # It has read topics that are no longer there: their offsets say nothing of these.
            return None
        return {name: place.next_offset for name, place in places.items()}


def _lacks_words(cursor: Cursor) -> bool:
    """Whether the live catalog has images of which it does not know what they say of their study."""
    found = cursor.execute("SELECT to_regclass('study_identities') IS NULL").fetchone()
    if found and found[0]:
        return True
    found = cursor.execute(
        "SELECT EXISTS (SELECT FROM instances WHERE study_identity IS NULL AND study_uid <> '')"
    ).fetchone()
    return bool(found and found[0])


def _switch(connection: Connection) -> None:
    """Part of the transaction that holds the lock: all of it or nothing. The old tables stay until the next switch."""
    connection.execute(
        sql.SQL("ALTER TABLE {}.instances ALTER cataloged_at SET DEFAULT clock_timestamp()").format(sql.Identifier(NEW))
    )
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(OLD)))
    found = connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", (SCHEMA,)).fetchone()
    if found and found[0]:
        connection.execute(_rename(SCHEMA, OLD))
    connection.execute(_rename(NEW, SCHEMA))


def _rename(name: str, to: str) -> sql.Composed:
    return sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(to))
