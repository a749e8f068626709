"""SIGKILL of store, database, cache and gateway under twenty readers: nothing wrong is served, and all read again."""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
import pytest

from consumers.catalog.config import Settings as Catalog
from consumers.catalog.database import snapshot
from gateway.config import Settings
from radstream.sending import send_items
from tests.images import CT
from tests.nodes import Node, node
from tests.pipeline_run import router_of, settled
from tests.readers.asking import Asking
from tests.readers.crew import C_GET, C_MOVE, Crew
from tests.readers.dimse import AE_TITLE, DESTINATION, getting, moving
from tests.readers.listening import Listening
from tests.readers.rounds import Rounds, shown
from tests.readers.site import SERVING, Site, running_site
from tests.readers.studies import Study, studies
from tests.readers.tally import Tally
from tests.running_stack import RunningStack
from tests.waiting import wait_until

# `make faults` asks for more; each fault comes once before any comes twice. A run that failed is run again by its seed.
ROUNDS = int(os.environ.get("RADSTREAM_READER_ROUNDS", "10"))
SEED = os.environ.get("RADSTREAM_FAULT_SEED")
REPORT = os.environ.get("RADSTREAM_READER_REPORT")

# Reads of the store at once, small and large ones, and what looks at it when the gateway starts.
STORE_MAX = 40

pytestmark = [pytest.mark.stack, pytest.mark.fault, pytest.mark.timeout(1800 + 60 * ROUNDS)]


def test_nothing_wrong_is_served_while_parts_are_killed(
    stack: RunningStack, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(SEED) if SEED else random.SystemRandom().randrange(1 << 32)
    print(f"RADSTREAM_FAULT_SEED={seed}")  # noqa: T201 - for whom the test fails
    known = studies(seed)
    send(stack, known)
    logs = {part: stack.log(part).stat().st_size for part in SERVING}
    with (
        running_site(stack) as site,
        node(sorted({one.syntax for one in known[0].images}), sop_classes=(CT,)) as receiver,
    ):
        enter(stack, receiver)
        tally = Tally()
        with reading(site, seed, known, receiver, tally) as rounds:
            said = rounds.run(ROUNDS)
        with capsys.disabled():
            print(f"\n{shown(said)}")  # noqa: T201
        if REPORT:
            Path(REPORT).write_bytes(msgspec.json.format(msgspec.json.encode(said)) + b"\n")
        assert said.findings == ()
        # What a killed store left in a pool goes when it has been idle for as long as the pool lets it: 90 s.
        wait_until(lambda: is_at_rest(stack), "the gateway's connections to be given back")
    # What was summed is told as they end.
    for part in SERVING:
        assert tracebacks(stack.log(part), logs[part]) == []
    assert_recorded(stack, known, pages=said.right["study page"])


def send(stack: RunningStack, known: tuple[Study, Study]) -> None:
    items = [image.item for study in known for image in study.images]
    assert send_items(items, router_of(stack), retries=20).acknowledged == len(items)
    settled(stack)


def enter(stack: RunningStack, receiver: Node) -> None:
    """The receiver among the site's nodes."""
    with (stack.config_path.parent / "nodes.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[readers]\nae_title = "{DESTINATION}"\nhost = "127.0.0.1"\nport = {receiver.port}\n')


@contextmanager
def reading(site: Site, seed: int, known: tuple[Study, Study], receiver: Node, tally: Tally) -> Iterator[Rounds]:
    """Twenty readers, until the block ends."""
    settings = site.stack.config.section("gateway", Settings)
    root = f"http://{settings.host}:{settings.port}"
    asking, listening = Asking(known), Listening(root)
    port = site.stack.ports["retrieve"]
    dimse = {C_GET: getting(port, known[0]), C_MOVE: moving(port, known[0], receiver)}
    crew = Crew(root, asking, dimse, tally, seed)
    try:
        listening.start()
        yield Rounds(site, seed, known, crew, listening, asking, tally)
    finally:
        listening.stop()
        crew.stop()


def is_at_rest(stack: RunningStack) -> bool:
    """Nobody is connected to the gateway any more, and its pools hold no more than they may: of them also what a server
    left that was killed, until it is asked again."""
    settings = stack.config.section("gateway", Settings)
    connections = psutil.Process(stack.pid("gateway")).net_connections("inet")
    served = [one for one in connections if one.laddr.port == settings.port and one.status != psutil.CONN_LISTEN]
    to = Counter(one.raddr.port for one in connections if one.raddr)
    # Those of pages and listings besides, and the one by which each request asks in which state a study is.
    catalog_max = settings.catalog_connections_max + settings.workers + 1
    return not served and to[stack.ports["postgres"]] <= catalog_max and to[stack.ports["store"]] <= STORE_MAX


def tracebacks(log: Path, start: int) -> list[str]:
    text = log.read_bytes()[start:].decode(errors="replace")
    return re.findall(r".*(?:Traceback|request_failed|retrieve_failed|service_failed|feed_stopped).*", text)[:5]


def assert_recorded(stack: RunningStack, known: tuple[Study, Study], pages: int) -> None:
    """Who read is in the log: each study with its readers, each page that was shown, and that lists were."""
    dsn = stack.config.section("catalog", Catalog).dsn
    uids = [study.uid for study in known]

    def recorded() -> bool:
        with snapshot(dsn) as cursor:
            read = cursor.execute(
                "SELECT DISTINCT study_uid, reader FROM accesses WHERE study_uid = ANY(%s)", (uids,)
            ).fetchall()
            shown_pages = cursor.execute(
                "SELECT count(*) FROM audit WHERE action = 'study_shown' AND subject = ANY(%s)", (uids,)
            ).fetchall()
            listed = cursor.execute(
                "SELECT count(*) FROM audit WHERE action = 'studies_listed' AND actor = '127.0.0.1'"
            ).fetchall()
        by_http = {(uid, "127.0.0.1") for uid in uids}
        by_dimse = {reader for uid, reader in read if uid == uids[0] and AE_TITLE in reader}
        return by_http <= set(read) and bool(by_dimse) and shown_pages[0][0] >= pages and listed[0][0] > 0

    wait_until(recorded, "who read to be recorded")
