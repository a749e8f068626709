"""Nodes with TLS, as all reach them that open associations: who is there is proven first, and else said in words."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from prometheus_client import REGISTRY

from consumers.commitment.telling import Teller
from consumers.forward.peer import Peer
from consumers.forward.ris import Ris
from radstream.__main__ import cli
from radstream.checks.trust import check_nodes
from radstream.phantom import encoded
from radstream.send import secured_router_of
from radstream.sending import SendResult, send_items
from streams.attribute_lists import AttributeList
from streams.clock import SystemClock
from streams.config import ConfigError, load
from streams.config import Site as OurSite
from streams.dimse.config import Listening
from streams.dimse.door import door_of
from streams.health import Health
from streams.memory_log import MemoryLog
from streams.nodes import Node, read
from streams.peers.refusal_audit import RefusalAudit
from streams.peers.refusals import Refusals
from streams.ris import Settings as RisSettings
from streams.routes.rules import Destination
from streams.store_scu import NoAssociation, Target
from streams.tls.clients import Clients
from streams.tls.files import Port
from streams.tls.looking import looking
from streams.wire import SchemaIds
from tests import risses
from tests.certificates import Authority, Identity, server_context
from tests.commitment_events import decided, requested
from tests.commitment_peers import Modality, listening
from tests.event_streams import Hospital as Protected
from tests.images import native
from tests.nodes import node
from tests.ports import free_port
from tests.routers import EXPLICIT, explicit
from tests.secured import LOOPBACK, hospital, known
from tests.waiting import wait_until

HERE = "127.0.0.1"


@dataclass
class Site:
    """Its configuration has our certificate. `theirs` is for a node on this machine."""

    folder: Path
    authority: Authority
    ours: Identity
    theirs: Identity

    @property
    def config(self) -> Path:
        return self.folder / "radstream.toml"

    def write(self, ours: Identity, *lines: str) -> None:
        text = f'[dicom.tls]\ncertificate = "{ours.certificate_file}"\nkey = "{ours.key_file}"\n'
        self.config.write_text("\n".join((f'{text}ca = "{self.authority.file}"', *lines)), encoding="utf-8")

    def clients(self) -> Clients:
        return Clients(load(self.config))

    def listening(self, theirs: Identity | None = None, authority: Authority | None = None) -> ssl.SSLContext:
        """A node's side; it believes `authority`."""
        return server_context((authority or self.authority).file, theirs or self.theirs)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    authority = Authority(tmp_path)
    made = Site(tmp_path, authority, authority.issue("radstream.example"), authority.issue("PACS", hosts=(HERE,)))
    made.write(made.ours)
    return made


def at(port: int, **more: object) -> Node:
    return Node(ae_title="NODE", host=HERE, port=port, tls=True, **more)


def sent(clients: Clients, to: Node, slices: int = 1, matrix: int = 64) -> SendResult:
    target = Target(to.ae_title, to.host, to.port, clients.of(to))
    return send_items(encoded(7, (0, slices, 0), matrix), target, retries=0)


def reason(clients: Clients, to: Node) -> str:
    return sent(clients, to).unsent[0]["reason"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_node_is_known_by_its_host_and_has_what_was_sent(site: Site, version: ssl.TLSVersion) -> None:
    context = site.listening()
    context.maximum_version = context.minimum_version = version
    with node([EXPLICIT], tls=context) as pacs:
        # Each larger than a record of TLS, many times.
        result = sent(site.clients(), at(pacs.port), slices=2, matrix=512)
    assert (result.acknowledged, len(pacs.instances), pacs.released) == (2, 2, 1)
    assert min(map(len, pacs.data_sets)) > 1 << 18


def test_nothing_older_than_tls_1_2_is_spoken(site: Site) -> None:
    context = site.listening()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with node([EXPLICIT], tls=context) as pacs:
        assert "TLS" in reason(site.clients(), at(pacs.port))
        assert pacs.associations == 0


def test_a_name_or_a_fingerprint_stands_in_for_the_host(site: Site) -> None:
    theirs = site.authority.issue("PACS", hosts=("pacs.example",))
    with node([EXPLICIT], tls=site.listening(theirs)) as pacs:
        assert "not for the host 127.0.0.1" in reason(site.clients(), at(pacs.port))
        assert sent(site.clients(), at(pacs.port, common_name="PACS")).acknowledged == 1
        assert sent(site.clients(), at(pacs.port, fingerprints=(theirs.fingerprint.upper(),))).acknowledged == 1
        assert "common name PACS2" in reason(site.clients(), at(pacs.port, common_name="PACS2"))
        other = reason(site.clients(), at(pacs.port, fingerprints=(site.ours.fingerprint,)))
        assert "none of the fingerprints" in other
        assert pacs.associations == 2


def test_a_certificate_that_is_over_or_of_others_is_told_apart(site: Site, tmp_path: Path) -> None:
    old = site.authority.issue("PACS", days=(-9, -1), hosts=(HERE,))
    with node([EXPLICIT], tls=site.listening(old)) as pacs:
        assert "has expired" in reason(site.clients(), at(pacs.port))
    others = Authority(tmp_path / "others", "Other CA")
    with node([EXPLICIT], tls=site.listening(others.issue("PACS", hosts=(HERE,)))) as pacs:
        assert "is not trusted" in reason(site.clients(), at(pacs.port))
        # Unless the node has an authority of its own.
        assert sent(site.clients(), at(pacs.port, ca=str(others.file))).acknowledged == 1
        assert pacs.associations == 1


def test_a_certificate_of_theirs_that_was_revoked_is_refused(site: Site) -> None:
    site.write(site.ours, f'crl = "{site.authority.revoke([site.theirs])}"')
    with node([EXPLICIT], tls=site.listening()) as pacs:
        assert "is revoked" in reason(site.clients(), at(pacs.port))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_node_that_does_not_take_our_certificate_is_said(site: Site, tmp_path: Path, version: ssl.TLSVersion) -> None:
    others = Authority(tmp_path / "others", "Other CA")
    context = site.listening(authority=others)
    context.maximum_version = version
    with node([EXPLICIT], tls=context) as pacs:
        assert "certificate" in reason(site.clients(), at(pacs.port))
        assert pacs.associations == 0


def test_a_node_without_tls_is_said_and_one_that_is_off_too(site: Site) -> None:
    with node([EXPLICIT]) as plain:
        said = reason(site.clients(), at(plain.port))
    assert "does not speak TLS" in said or "It may have no TLS" in said, said
    assert "nothing listens there" in reason(site.clients(), at(free_port()))


def test_without_a_certificate_of_ours_it_is_said_what_to_add(site: Site) -> None:
    site.config.write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"add \[dicom\.tls\]"):
        site.clients().of(at(104))


def test_a_renewed_certificate_is_shown_from_the_next_association_on(site: Site) -> None:
    """And one that is half written changes nothing."""
    clients = site.clients()
    context = site.listening()
    with node([EXPLICIT], tls=context) as pacs:
        assert sent(clients, at(pacs.port)).acknowledged == 1
        renewed = site.authority.issue("renewed.example")
        site.ours.certificate_file.write_bytes(renewed.certificate_file.read_bytes())
        clients.look()
        clients.look()
        assert "is not the key of" in clients.problem
        assert sent(clients, at(pacs.port)).acknowledged == 1
        site.ours.key_file.write_bytes(renewed.key_file.read_bytes())
        clients.look()
        clients.look()
        assert clients.problem == ""
        (found,) = {ends_at for what, ends_at in clients.ends() if what == "certificate"}
        assert found == renewed.certificate.not_valid_after_utc
        assert sent(clients, at(pacs.port)).acknowledged == 1


def command(site: Site, *words: str) -> Result:
    return CliRunner().invoke(cli, [*words, "--config", str(site.config)])


def test_send_goes_to_a_node_by_its_name(site: Site, tmp_path: Path) -> None:
    image = tmp_path / "image.dcm"
    image.write_bytes(native(np.zeros((1, 16, 16), np.uint16)))
    with node([EXPLICIT], tls=site.listening()) as pacs:
        words = ("modality", "add", "pacs", "--ae", "NODE", "--host", HERE, "--port", str(pacs.port), "--tls")
        assert command(site, *words, "--common-name", "PACS").exit_code == 0
        done = command(site, "send", "--to", "pacs", str(image))
        assert done.exit_code == 0, done.output
        assert "NODE@127.0.0.1" in done.output
        assert len(pacs.instances) == 1
        # An address alone is known by its host.
        done = command(site, "send", "--tls", "--to", f"NODE@localhost:{pacs.port}", "--retries", "0", str(image))
        assert (done.exit_code, len(pacs.instances)) == (1, 1)
        assert "not for the host localhost" in " ".join(done.output.split())


def test_our_router_is_known_by_the_very_certificate_that_the_configuration_names(site: Site, tmp_path: Path) -> None:
    made = hospital(tmp_path / "router", known("RADSEND", 'common_name = "radstream.example"', addresses=LOOPBACK))
    theirs = made.authority.issue("radstream.example")

    def asked(shown: Identity) -> SendResult:
        assert router.secured is not None
        listens = f'[router]\nhttp_port = 1\nport = {router.target.port}\npeers = "{made.peers}"\n[router.tls]'
        files = f'certificate = "{shown.certificate_file}"\nkey = "{shown.key_file}"\nca = "{made.authority.file}"'
        ours = f'[dicom.tls]\ncertificate = "{theirs.certificate_file}"\nkey = "{theirs.key_file}"'
        lines = (listens, f"port = {router.secured.port}", files, ours, f'ca = "{made.authority.file}"')
        site.config.write_text("\n".join(lines), encoding="utf-8")
        return send_items(encoded(7, (0, 1, 0), 64), secured_router_of(load(site.config)), retries=0)

    with made.router() as router:
        assert asked(made.ours).acknowledged == 1
        assert len(router.received()) == 1
        assert "none of the fingerprints" in asked(made.authority.issue("router.example")).unsent[0]["reason"]


@contextmanager
def storescp(folder: Path, site: Site, *options: str) -> Iterator[int]:
    """DCMTK's storage SCP with TLS, which wants our certificate."""
    program = shutil.which("storescp")
    if program is None:
        pytest.skip("DCMTK (storescp) is not installed: no foreign TLS server is tested")
    port = free_port()
    theirs = [str(site.theirs.key_file), str(site.theirs.certificate_file)]
    asked = [program, "+tls", *theirs, "+cf", str(site.authority.file), *options, "-od", str(folder), "+B", str(port)]
    process = subprocess.Popen(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _listens(port), "storescp to listen")
        yield port
    finally:
        process.terminate()
        process.wait(60)


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HERE, port), 1).close()
    except OSError:
        return False
    return True


def test_storescp_of_dcmtk_is_reached_by_tls(site: Site, tmp_path: Path) -> None:
    (tmp_path / "got").mkdir()
    with storescp(tmp_path / "got", site) as port:
        assert sent(site.clients(), at(port), slices=3).acknowledged == 3
        assert len(list((tmp_path / "got").iterdir())) == 3
        stranger = site.authority.self_signed("stranger.example")
        site.write(stranger)
        assert "certificate" in reason(site.clients(), at(port))


def test_our_own_router_is_reached_by_its_own_rules(site: Site, tmp_path: Path) -> None:
    made = hospital(tmp_path / "router", known("RADSEND", 'common_name = "radstream.example"', addresses=LOOPBACK))
    theirs = made.authority.issue("radstream.example")
    site.write(theirs)
    ca = str(made.authority.file)
    with made.router() as router:
        assert router.secured is not None
        to = Node(
            ae_title="RADSTREAM", host=HERE, port=router.secured.port, tls=True, ca=ca, common_name="router.example"
        )
        assert sent(site.clients(), to, slices=3).acknowledged == 3
        site.write(made.authority.issue("another.example"))
        assert "rejected" in reason(site.clients(), to)
        site.write(site.ours)
        assert "certificate" in reason(site.clients(), to)


def test_forwarding_goes_by_tls_and_waits_where_it_cannot(site: Site) -> None:
    def forwarded(destination: Destination) -> int:
        (item,) = encoded(7, (0, 1, 0), 64)
        peer = Peer(destination, site.clients())
        try:
            return peer.store((item.sop_class, EXPLICIT), item.sop_instance, lambda _: item.data_set()).status
        finally:
            peer.close()

    with node([EXPLICIT], tls=site.listening()) as pacs:
        assert forwarded(pacs.destination(tls=True)) == 0x0000
        with pytest.raises(NoAssociation, match="common name ANOTHER"):
            forwarded(pacs.destination(tls=True, common_name="ANOTHER"))
        site.ours.key_file.chmod(0o644)
        with pytest.raises(NoAssociation, match="ours cannot be used"):
            forwarded(pacs.destination(tls=True))
        assert len(pacs.instances) == 1


def test_reports_of_commitment_go_by_tls(site: Site) -> None:
    nodes = site.folder / "nodes.toml"
    images = Protected()
    result = decided(images, requested(images, "2.25.1", ["2.25.2"]))
    with listening(Modality(), tls=site.listening()) as modality:
        table = f'[ct-1]\nae_title = "CT1"\nhost = "{HERE}"\nport = {modality.port}\n'
        nodes.write_text(f"{table}tls = true\n")
        told = Teller(nodes, site.clients(), 60.0, lambda: 0.0).tell(result)
        assert (told.outcome, told.node) == ("delivered", "ct-1"), told
        nodes.write_text(f'{table}tls = true\ncommon_name = "CT2"\n')
        told = Teller(nodes, site.clients(), 60.0, lambda: 0.0).tell(result)
        assert (told.outcome, "common name CT2" in told.why) == ("no_association", True), told
    assert [report.transaction_uid for report in modality.reports] == ["2.25.1"]


def test_the_ris_is_told_by_tls(site: Site) -> None:
    nodes = site.folder / "nodes.toml"
    said = AttributeList(EXPLICIT, explicit(0x00400252, b"CS", b"IN PROGRESS"))
    with risses.listening(risses.Ris(), tls=site.listening()) as made:
        table = f'[ris]\nae_title = "RIS"\nhost = "{HERE}"\nport = {made.port}\n'
        nodes.write_text(f"{table}tls = true\n")
        ris = Ris(nodes, RisSettings(node="ris"), site.clients())
        assert ris.tell("created", "2.25.1", said).status == 0x0000
        ris.close()
        nodes.write_text(f'{table}tls = true\ncommon_name = "RIS"\n')
        with pytest.raises(NoAssociation, match="common name RIS"):
            ris.tell("created", "2.25.2", said)
    assert set(made.steps) == {"2.25.1"}


def test_the_doctor_looks_at_what_nodes_need(site: Site) -> None:
    (site.folder / "nodes.toml").write_text(f'[pacs]\nae_title = "PACS"\nhost = "{HERE}"\nport = 104\ntls = true\n')
    (well,) = check_nodes(load(site.config))
    assert (well.state, "1 nodes by TLS" in well.found) == ("well", True)
    site.write(site.authority.issue("radstream.example", days=(-1, 9)))
    assert [one.state for one in check_nodes(load(site.config))] == ["well", "note"]
    site.config.write_text("", encoding="utf-8")
    (wrong,) = check_nodes(load(site.config))
    assert (wrong.state, "add [dicom.tls]" in wrong.found) == ("broken", True)


def test_what_runs_says_what_is_broken_and_what_ends(site: Site) -> None:
    site.write(site.authority.issue("radstream.example", days=(-1, 9)))
    clients, clock = site.clients(), SystemClock()
    health = Health(clock)
    clients.of(at(104))
    look = looking(clients, health, clock)
    look()
    assert "the certificate in [dicom.tls] ends on" in health.warnings()["dicom.ends"]
    assert 8 < days_left("dicom.tls") < 9
    site.authority.file.write_text("no PEM")
    look()
    look()
    assert "what was read before stays in force" in health.warnings()["dicom.tls"]


def test_what_ends_and_is_broken_of_who_comes_and_of_where_we_go_is_said_apart(site: Site) -> None:
    """Query and retrieve has both, and each second the second took back what the first had said."""
    site.write(site.authority.issue("radstream.example", days=(-1, 300)))
    theirs = site.authority.issue("door", days=(-1, 9))
    tls = Port(port=0, certificate=theirs.certificate_file, key=theirs.key_file, ca=site.authority.file)
    peers = site.folder / "peers.toml"
    peers.write_text('[[peer]]\nae_title = "VIEWER"\naddresses = ["127.0.0.1"]\ncommon_name = "viewer"\n')
    clients, clock = site.clients(), SystemClock()
    health = Health(clock)
    audit = RefusalAudit(OurSite(tenant="t", site="here"), SchemaIds(), clock, "radstream/t/here/retrieve")
    refusals = Refusals(audit.made, MemoryLog().producer(), clock)
    door = door_of("retrieve", Listening(http_port=0, port=0, tls=tls, peers=peers), health, clock, refusals)
    clients.of(at(104))
    look = looking(clients, health, clock)
    theirs.key_file.write_text("no PEM")
    for _ in range(2):
        door.look()
        look()
    assert set(health.warnings()) == {"ends", "tls"}
    assert "the certificate in [retrieve.tls] ends on" in health.warnings()["ends"]
    assert "what was read before stays in force" in health.warnings()["tls"]
    assert 8 < days_left("retrieve.tls") < 9
    assert 299 < days_left("dicom.tls") < 300


def days_left(section: str) -> float:
    found = REGISTRY.get_sample_value("radstream_trust_days_left", {"section": section, "what": "certificate"})
    return found or 0.0


def test_what_is_said_of_tls_without_it_is_an_error(site: Site) -> None:
    for line, said in (
        ('ca = "x.pem"', "add tls = true"),
        ('tls = true\ncommon_name = "A"\nfingerprints = ["' + 64 * "0" + '"]', "take one of them away"),
        ('tls = true\nfingerprints = ["00:11"]', "is not the SHA-256 of a certificate"),
    ):
        (site.folder / "nodes.toml").write_text(f'[pacs]\nae_title = "P"\nhost = "p"\nport = 104\n{line}\n')
        with pytest.raises(ConfigError, match=said):
            read(site.folder / "nodes.toml")
