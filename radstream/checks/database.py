"""PostgreSQL: reachable, true to its word, and with the tables of this build."""

from __future__ import annotations

from collections.abc import Iterator

from consumers.catalog.config import Settings
from consumers.catalog.database import snapshot
from consumers.catalog.migrate import MigrationChanged, pending
from consumers.catalog.quarantine import undecided
from radstream.checks.check import Check, broken, note, well
from streams.step import Away
from streams.stop import Stop

PART = "database"
VERSION_MIN = 15
START = "Start it: radstream up; or mend [catalog] dsn."


def check(settings: Settings) -> Iterator[Check]:
    try:
        yield from _server(settings.dsn)
        todo = [f"{phase}/{name}" for phase in ("before", "after") for name in pending(settings.dsn, phase)]
    except (Away, Stop) as error:
        yield broken(PART, "reachable", f"{error}.", START)
    except MigrationChanged as error:
        yield broken(PART, "migrations", f"{error}.", "Put the migration's file back as it was.")
    else:
        if todo:
            says = f"Not applied: {', '.join(todo)}."
            yield broken(PART, "migrations", says, "Apply them: radstream up.")
        else:
            yield well(PART, "migrations", "All are applied.")
            yield from _held(settings.dsn)


def _held(dsn: str) -> Iterator[Check]:
    try:
        with snapshot(dsn) as cursor:
            found = undecided(cursor)
    except (Away, Stop) as error:
        yield broken(PART, "quarantine", f"{error}.", START)
        return
    if found:
        says = f"{sum(found.values())} held images wait for a person: {_listed(found)}."
        yield note(PART, "quarantine", says, "radstream quarantine list; then release or reject each.")
    else:
        yield well(PART, "quarantine", "Nothing that is held waits for a person.")


def _listed(found: dict[str, int]) -> str:
    return ", ".join(f"{code} {count}" for code, count in sorted(found.items()))


def _server(dsn: str) -> Iterator[Check]:
    with snapshot(dsn) as cursor:
        number = cursor.connection.info.server_version
        says = f"PostgreSQL {number // 10000}.{number % 10000}."
        if number < VERSION_MIN * 10000:
            yield broken(PART, "server", says, f"Use version {VERSION_MIN} or newer.")
        else:
            yield well(PART, "server", says)
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            row = cursor.execute("SELECT current_setting(%s)", (setting,)).fetchone()
            if row is None or row[0] == "off":
                mend = f"ALTER SYSTEM SET {setting} = on; then reload: a power loss would lose rows of the ledger."
                yield broken(PART, setting, "It is off.", mend)
