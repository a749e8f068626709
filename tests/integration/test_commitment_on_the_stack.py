"""Storage commitment on the running stack: backed up, then committed, then told, to who was off, after a SIGKILL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from radstream.__main__ import cli
from radstream.phantom import chest_ct, encoded
from radstream.sending import send_items
from streams.nodes import file_of
from tests.commitment_peers import Modality, Report, ask, asking, listening
from tests.pipeline_run import router_of
from tests.ports import free_port
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

SEED, SLICES, MATRIX = 83, (2, 6, 6), 64
KEPT, LOST, AGAIN = "2.25.8301", "2.25.8302", "2.25.8303"
CT = "1.2.840.10008.5.1.4.1.1.2"
NEVER_SENT = "2.25.8399"
QUICK = "runner = {threads = 8, batch_max = 1, park_wait_s = 0.5, park_wait_s_max = 1.0}"


def run(stack: RunningStack, *arguments: str) -> Any:
    done = CliRunner().invoke(cli, [*arguments, "--json", "--config", str(stack.config_path)])
    assert done.exception is None, done.stdout or done.exception
    return json.loads(done.stdout)


def standing(stack: RunningStack) -> dict[str, str]:
    """Of what is asked for here, by transaction."""
    found = run(stack, "commitments", "list", "--ae", "CT1")["commitments"]
    standings = {one["transaction_uid"]: one["standing"] for one in found}
    return {uid: standings[uid] for uid in (KEPT, LOST, AGAIN) if uid in standings}


@pytest.fixture
def impatient(stack: RunningStack) -> Iterator[RunningStack]:
    """Looks again soon. What was configured before comes back."""
    nodes = file_of(stack.config)
    before = {path: path.read_text(encoding="utf-8") for path in (stack.config_path, nodes) if path.exists()}
    stack.down(["commitment"])
    stack._set("commitment", QUICK)
    stack.up(["commitment"])
    yield stack
    stack.down(["commitment"])
    nodes.unlink(missing_ok=True)
    for path, text in before.items():
        path.write_text(text, encoding="utf-8")
    stack.up(["commitment"])


def test_a_study_is_committed_and_what_was_never_sent_is_not(impatient: RunningStack) -> None:
    # Switched off until both were decided on.
    stack, modality = impatient, Modality(port=free_port())
    file_of(stack.config).write_text(f'[ct-1]\nae_title = "CT1"\nhost = "127.0.0.1"\nport = {modality.port}\n')
    items = list(encoded(SEED, SLICES, matrix=MATRIX))
    sent = [str(one.SOPInstanceUID) for one in chest_ct(SEED, SLICES, MATRIX)]
    assert send_items(items, router_of(stack), calling_ae="CT1").statuses == {"0000": len(items)}
    assert ask(router_of(stack), KEPT, [(CT, uid) for uid in sent]) == 0x0000
    assert ask(router_of(stack), LOST, [(CT, sent[0]), (CT, NEVER_SENT)]) == 0x0000

    wait_until(lambda: standing(stack) == {KEPT: "judged", LOST: "waiting"}, "the backup and the decision")
    stack.kill("commitment")
    stack._set("commitment", "deadline_s = 1.0")
    with listening(modality):
        stack.up(["commitment"])
        wait_until(lambda: set(standing(stack).values()) == {"delivered"}, "both reports")
    told = {report.transaction_uid: report for report in modality.reports}
    assert (told[KEPT].event_type, told[KEPT].committed, told[KEPT].failed) == (1, frozenset(sent), {})
    assert (told[LOST].committed, told[LOST].failed) == (frozenset(sent[:1]), {NEVER_SENT: 0x0112})
    (shown,) = run(stack, "commitments", "show", LOST)
    assert (shown["node"], shown["committed"], shown["failed"]) == ("ct-1", 1, 1)
    assert shown["failures"] == [{"reason": 0x0112, "sop_class_uid": CT, "sop_instance_uids": [NEVER_SENT]}]

    # Else it tells the node, where this machine pauses before the router has told whoever waits.
    stack._set("commitment", "association_first_s = 20.0")
    stack.restart(("commitment",))
    waiting = Modality()
    with asking(router_of(stack), waiting, AGAIN, [(CT, uid) for uid in sent]):
        wait_until(lambda: waiting.reports, "the report on the association that asked")
        # Whoever leaves before its response is sent has not taken the report.
        wait_until(lambda: standing(stack).get(AGAIN) == "delivered", "the report in the log")
    assert waiting.reports == [Report(1, AGAIN, frozenset(sent), {}, "CT1")]
    (shown,) = run(stack, "commitments", "show", AGAIN)
    assert (shown["node"], shown["committed"]) == (None, len(sent))
    assert AGAIN not in {report.transaction_uid for report in modality.reports}


def test_a_modality_test_follows_an_image_to_the_report(impatient: RunningStack) -> None:
    stack = impatient
    with listening(Modality()) as modality:
        file_of(stack.config).write_text(f'[ct-1]\nae_title = "CT1"\nhost = "127.0.0.1"\nport = {modality.port}\n')
        found = run(stack, "modality", "test", "ct-1", "--commit", "--wait", "120")
    told = {(check["part"], check["name"]): check for check in found["checks"]}
    assert told["node", "commitment"]["state"] == "well"
    assert told["router", "commitment"]["state"] == "well"
    assert "Committed in 2 verified copies, and ct-1 was told" in told["router", "report"]["found"]
    # What the test before asked for may be told twice: its service was killed, and a report is told at least once.
    mine = [report for report in modality.reports if report.transaction_uid not in {KEPT, LOST, AGAIN}]
    assert [len(report.committed) for report in mine] == [1]
