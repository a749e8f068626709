"""Storage commitment in `radstream modality test`: what an archive answers, and what becomes of ours."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom import AE, evt
from pynetdicom.presentation import build_role
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)

from consumers.catalog.commitments import WholeCommitment
from producers.dicom_router.config import Settings
from radstream import modality_commit
from radstream.__main__ import cli
from radstream.checks.check import Check
from radstream.errors import Failure
from radstream.modality_commit import Asking, of_archive, of_router, takes_reports
from radstream.modality_store import Image
from streams.config import Config
from streams.nodes import Node
from tests.certificates import Authority, server_context
from tests.commitment_peers import Modality, listening
from tests.nodes import CT, no_tls
from tests.orthanc import orthanc
from tests.ports import free_port
from tests.routers import EXPLICIT, running_router
from tests.waiting import wait_until

HERE = "127.0.0.1"


class Archive:
    """A storage SCP that keeps images or does not, and says so by N-EVENT-REPORT, here or on a new association."""

    def __init__(self, *, report_to: int | None = None, reason: int | None = None, silent: bool = False) -> None:
        self.report_to, self.reason, self.silent = report_to, reason, silent
        self.answers: list[int] = []
        self.port = 0

    @property
    def node(self) -> Node:
        return Node(ae_title="ARCHIVE", host=HERE, port=self.port)

    def on_action(self, event: Any) -> tuple[int, None]:
        if not self.silent:
            threading.Thread(target=self._report, args=(event.assoc, event.action_information), daemon=True).start()
        return 0x0000, None

    def _report(self, association: Any, asked: Dataset) -> None:
        said = Dataset()
        said.TransactionUID = asked.TransactionUID
        if self.reason is None:
            said.ReferencedSOPSequence = asked.ReferencedSOPSequence
        else:
            item = Dataset()
            item.update(asked.ReferencedSOPSequence[0])
            item.FailureReason = self.reason
            said.FailedSOPSequence = Sequence([item])
        if self.report_to is not None:
            entity = AE("ARCHIVE")
            entity.add_requested_context(StorageCommitmentPushModel)
            role = build_role(StorageCommitmentPushModel, scp_role=True)
            association = entity.associate(HERE, self.report_to, ae_title="RADSTREAM", ext_neg=[role])
        kind = 1 if self.reason is None else 2
        status, _ = association.send_n_event_report(
            said, kind, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        self.answers.append(status.Status)
        if self.report_to is not None:
            association.release()

    @contextmanager
    def running(self, *services: str, tls: Any = None) -> Iterator[Archive]:
        entity = AE("ARCHIVE")
        entity.add_supported_context(Verification)
        entity.add_supported_context(CT, EXPLICIT)
        for service in services or (StorageCommitmentPushModel,):
            entity.add_supported_context(service, scu_role=True, scp_role=True)
        handlers = [(evt.EVT_C_STORE, lambda _: 0x0000), (evt.EVT_N_ACTION, self.on_action)]
        server = entity.start_server((HERE, 0), block=False, evt_handlers=handlers, ssl_context=tls)
        assert server is not None
        self.port = server.server_address[1]
        try:
            yield self
        finally:
            entity.shutdown()


def checked(archive: Archive, listen: tuple[str, int] | None = None, wait_s: float = 120.0) -> dict[str, Check]:
    asking = Asking("RADSTREAM", listen, wait_s)
    return {check.name: check for check in of_archive(archive.node, no_tls(), Image.make(), asking)}


def test_an_archive_that_commits_on_the_same_association_is_well() -> None:
    with Archive().running() as archive:
        found = checked(archive)
    assert {name: check.state for name, check in found.items()} == {"C-STORE": "well", "commitment": "well"}
    assert "on the same association" in found["commitment"].found
    # An archive whose report nobody answers reports again, for days.
    wait_until(lambda: archive.answers == [0x0000], "the answer to the report")
    assert archive.answers == [0x0000]


def test_an_archive_that_reports_on_a_new_association_is_listened_to() -> None:
    port = free_port()
    with Archive(report_to=port).running() as archive:
        found = checked(archive, (HERE, port))
    assert "on a new association" in found["commitment"].found


def test_what_is_not_committed_has_its_reason() -> None:
    with Archive(reason=0x0112).running() as archive:
        found = checked(archive)["commitment"]
    assert found.state == "broken"
    assert "0x0112, it never came" in found.found


def test_an_archive_that_never_reports_is_said_with_what_to_do() -> None:
    with Archive(silent=True).running() as archive:
        found = checked(archive, wait_s=0.3)["commitment"]
        assert (found.state, "--listen" in found.mend) == ("broken", True)
        port = free_port()
        found = checked(archive, (HERE, port), wait_s=0.3)["commitment"]
        assert (found.state, str(port) in found.mend) == ("broken", True)


def test_a_node_without_the_service_is_said() -> None:
    with Archive().running(Verification) as archive:
        found = checked(archive)["commitment"]
    assert found.state == "broken"
    assert "none of the services" in found.found


def test_the_command_tests_an_archive_with_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours, theirs = authority.issue("radstream.example"), authority.issue("ARCHIVE", hosts=(HERE,))
    config = tmp_path / "radstream.toml"
    with Archive().running(tls=server_context(authority.file, theirs)) as archive:
        config.write_text(
            f'[router]\nhttp_port = 1\nport = 1\n[dicom.tls]\ncertificate = "{ours.certificate_file}"\n'
            f'key = "{ours.key_file}"\nca = "{authority.file}"\n'
        )
        (tmp_path / "nodes.toml").write_text(
            f'[archive]\nae_title = "ARCHIVE"\nhost = "{HERE}"\nport = {archive.port}\ntls = true\n'
        )
        done = CliRunner().invoke(cli, ["modality", "test", "archive", "--archive", "--config", str(config)])
        assert done.exit_code == 0, done.output
        said = " ".join(done.output.split())
        assert "TLSv1.3; its certificate (ARCHIVE) ends on" in said
        assert "It committed to keep the image" in said
        both = ["modality", "test", "archive", "--archive", "--store", "--config", str(config)]
        assert CliRunner().invoke(cli, both).exit_code == 1


def test_orthanc_commits_on_a_new_association(tmp_path: Path) -> None:
    port = free_port()
    with orthanc(tmp_path, ("RADSTREAM", port)) as archive:
        asking = Asking("RADSTREAM", (HERE, port), 120.0)
        found = {check.name: check for check in of_archive(archive.node, no_tls(), Image.make(), asking)}
    assert {name: check.state for name, check in found.items()} == {"C-STORE": "well", "commitment": "well"}, found
    assert "on a new association" in found["commitment"].found


def test_a_scanner_is_asked_whether_it_takes_reports() -> None:
    with listening(Modality(), ae_title="CT1") as modality:
        node = Node(ae_title="CT1", host=HERE, port=modality.port)
        assert takes_reports(node, "RADSTREAM", no_tls()).state == "well"
    with listening(Modality(), takes_role=False) as modality:
        check = takes_reports(Node(ae_title="CT1", host=HERE, port=modality.port), "RADSTREAM", no_tls())
        assert (check.state, "role selection" in check.found) == ("note", True)
    with listening(Modality()) as modality:
        elsewhere = Node(ae_title="CT1", host=HERE, port=1, commitment_port=modality.port)
        assert takes_reports(elsewhere, "RADSTREAM", no_tls()).state == "well"
    assert "commitment_port" in takes_reports(Node(ae_title="CT1", host=HERE, port=1), "RADSTREAM", no_tls()).mend
    assert modality.reports == []


def test_our_router_is_asked_as_the_node_and_the_request_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    standing = iter([None, _standing("waiting"), _standing("delivered", committed=1, copies=2, node="ct-1")])
    asked: list[str] = []
    monkeypatch.setattr(modality_commit, "_standing_of", lambda _, uid: asked.append(uid) or next(standing))
    config, node = Config(Path("radstream.toml"), "", {}), Node(ae_title="CT1", host=HERE, port=104)
    with running_router() as router:
        settings = Settings(http_port=0, port=router.target.port)
        kept, told = of_router(config, node, settings, Image.make(), 10.0)
        (event,) = router.events("imaging.commitment.request")
    assert (kept.state, told.state) == ("well", "well")
    assert "Committed in 2 verified copies, and ct-1 was told" in told.found
    assert {event.transaction_uid} == set(asked)  # type: ignore[attr-defined]
    assert event.source.calling_ae == "CT1"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("standing", "more", "state", "said"),
    [
        ("waiting", {}, "note", "not as many verified copies"),
        ("judged", {}, "broken", "did not take the report"),
        ("abandoned", {"why": "no node has the AE title CT1"}, "broken", "no node has the AE title CT1"),
        ("delivered", {"committed": 0}, "broken", "is not committed"),
    ],
)
def test_what_stands_in_the_way_of_a_report_is_said(standing: str, more: dict[str, Any], state: str, said: str) -> None:
    check = modality_commit._judged(_standing(standing, **more), "2.25.1", 5.0)
    assert (check.state, said in check.found) == (state, True), check
    assert modality_commit._judged(None, "2.25.1", 5.0).state == "broken"


def _standing(standing: str, **more: Any) -> WholeCommitment:
    nothing = dict.fromkeys(("decided_at", "committed", "failed", "node", "said_at", "why", "copies"))
    facts = {"event_id": "", "transaction_uid": "2.25.1", "calling_ae": "CT1", "requested_at": datetime.now(UTC)}
    return WholeCommitment(
        **{**facts, **nothing, "instances": 1, "refs": [], "failures": [], "standing": standing, **more}
    )


def test_where_to_listen_has_to_be_an_address_that_can_be_had() -> None:
    with (
        socket.create_server((HERE, 0)) as taken,
        Archive().running() as archive,
        pytest.raises(Failure, match="cannot be listened on"),
    ):
        checked(archive, (HERE, taken.getsockname()[1]))
