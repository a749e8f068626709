"""Searches, compared with a filter over the same studies that knows nothing of SQL (PS3.4 section C.2.2.2)."""

from __future__ import annotations

import fnmatch
import random
import re
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.catalog.database import Writer
from consumers.catalog.migrate import migrate
from consumers.catalog.summarizing import refresh
from tests.catalogs import catalog_of as catalog_over
from tests.catalogs import project, projected, rows
from tests.event_streams import Hospital, new_log, night, write
from tests.gateways import Client, running_gateway
from tests.import_events import LISTED
from tests.postgres import Server, run_postgres

NAMES = (
    "DOE^JOHN",
    "Doe^Jane^A",
    "MÜLLER^Jürgen",
    "O'BRIEN^ÉLODIE",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "VAN DEN BERG^JAN",
    "A_B%C^X\\Y".replace("\\", ""),
    "",
)
IDS = ("P1", "P10", "p1", "100%", "A_1", "")
DATES = ("20260101", "20260102", "20260131", "")
TIMES = ("", "101500", "1015", "235959.5", "080000")
DESCRIPTIONS = ("CT CHEST", "Ct chest", "MR (BRAIN) [x]", "")

Said = dict[str, str]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with run_postgres() as running:
        yield running


class World:
    """Studies as they were sent, by UID, and a gateway over their catalog; some of their summaries are made."""

    def __init__(self, client: Client, studies: dict[str, Said]) -> None:
        self.client, self.studies = client, studies


@pytest.fixture(scope="module")
def world(server: Server) -> Iterator[World]:
    dsn, hospital, log = server.new_database("compared"), Hospital(7), new_log()
    migrate(dsn)
    drawn, studies = random.Random(7), {}
    for number in range(60):
        said = {
            "PatientName": drawn.choice(NAMES),
            "PatientID": drawn.choice(IDS),
            "StudyDate": drawn.choice(DATES),
            "StudyTime": drawn.choice(TIMES),
            "StudyDescription": drawn.choice(DESCRIPTIONS),
            "AccessionNumber": str(number),
        }
        uid = hospital.uid()
        image = hospital.received(uid, hospital.uid(), {key: value for key, value in said.items() if value})
        write(log, [image, hospital.validated(image)])
        studies[uid] = said
    projected(dsn, log, hospital)
    with closing(Writer(dsn)) as writer:
        refresh(writer, 30)
    with running_gateway(dsn, log) as client:
        yield World(client, studies)


def plain(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(char))


def wild(key: str, text: str) -> bool:
    escaped = re.sub(r"([\[\]])", r"[\1]", key)
    return fnmatch.fnmatchcase(text, escaped)


def name_matches(key: str, name: str) -> bool:
    groups = [group.rstrip("^ ") for group in plain(name).split("=")] if name else []
    wanted = plain(key)
    wanted = wanted if wanted.endswith(("*", "?")) else wanted.rstrip("^ ")
    return any(group and wild(wanted, group) for group in groups)


def date_matches(key: str, date: str) -> bool:
    first, dash, last = key.partition("-")
    return bool(date) and (first or "0") <= date <= ((last or "9") if dash else first)


MATCHES = {"PatientName": name_matches, "StudyDate": date_matches}


def matches(keys: Said, said: Said) -> bool:
    return all(
        MATCHES.get(keyword, wild)(key, said[keyword]) and said[keyword]
        for keyword, key in keys.items()
        if key.strip("*")
    )


def cut(values: tuple[str, ...]) -> st.SearchStrategy[str]:
    """A value that is there, with parts of it replaced by wild cards."""
    known = st.sampled_from([value for value in values if value])

    @st.composite
    def made(draw: st.DrawFn) -> str:
        value = draw(known)
        begin, end = sorted((draw(st.integers(0, len(value))), draw(st.integers(0, len(value)))))
        wanted = draw(st.sampled_from([value, value[:end] + "*", "*" + value[begin:], f"*{value[begin:end]}*"]))
        if draw(st.booleans()) and wanted:
            at = draw(st.integers(0, len(wanted) - 1))
            wanted = wanted[:at] + "?" + wanted[at + 1 :]
        return draw(st.sampled_from([wanted, wanted.lower(), wanted.upper()]))

    return made()


KEYS = st.fixed_dictionaries(
    {},
    optional={
        "PatientName": cut((*(name.split("=")[0] for name in NAMES), "山田^太郎")),
        "PatientID": cut(IDS),
        "StudyDescription": cut(DESCRIPTIONS),
        "StudyDate": st.sampled_from(["20260101", "20260101-20260102", "20260102-", "-20260101", "20250101-20251231"]),
    },
)


@given(KEYS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_studies_are_found(world: World, keys: Said) -> None:
    wanted = {key: value.strip() for key, value in keys.items()}
    expected = {uid for uid, said in world.studies.items() if matches(wanted, said)}
    answer = world.client.find("/studies", **keys)
    found = [one["0020000D"]["Value"][0] for one in answer.json()] if answer.status_code == 200 else []
    assert (len(found), set(found)) == (len(expected), expected)


@given(st.lists(st.tuples(st.sampled_from(["PatientName", "StudyDate", "0020000D", "limit"]), st.text(max_size=30))))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_query_is_answered_with_a_fault(world: World, pairs: list[tuple[str, str]]) -> None:
    asked: Any = [(name, value.encode("utf-8", "surrogatepass")) for name, value in pairs]
    answer = world.client.get(f"{world.client.root}/instances", params=asked, timeout=30)
    assert answer.status_code in (200, 204, 400)


@pytest.mark.parametrize("seed", range(3))
def test_at_every_moment_what_is_listed_is_what_is_served(server: Server, seed: int) -> None:
    """Batches in any interleaving, and summaries made of some studies at any moment between them."""
    dsn, hospital, log = server.new_database(f"moments{seed}"), Hospital(seed), new_log()
    migrate(dsn)
    write(log, night(hospital))
    drawn = random.Random(seed)
    with (
        closing(Writer(dsn)) as writer,
        catalog_over(dsn, log, hospital) as catalog,
        running_gateway(dsn, log) as client,
    ):
        applied = catalog.apply

        def watched(batch: Any, ends: Any) -> None:
            applied(batch, ends)
            if drawn.random() < 0.3:
                refresh(writer, drawn.randint(1, 5))
            if drawn.random() < 0.2:
                compared()

        def compared() -> None:
            served = rows(dsn, f"SELECT study_uid, count(*) FROM {LISTED} GROUP BY 1")
            answer = client.find("/studies", includefield="SOPClassesInStudy")
            found = answer.json() if answer.status_code == 200 else []
            assert sorted((one["0020000D"]["Value"][0], one["00201208"]["Value"][0]) for one in found) == sorted(served)

        catalog.apply = watched
        project(catalog, log, drawn, size=12)
        compared()
