"""`radstream imports`: studies from outside, and whose they are here. A person decides; the bytes stay as they came."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import click

from consumers.catalog.database import Cursor
from consumers.catalog.imports import IMPORTS_MAX, Import, has_decision, instances
from consumers.catalog.imports import imports as read_imports
from consumers.catalog.orders import WholeOrder, orders, whole
from consumers.catalog.quarantine import held_in
from radstream.audit import account
from radstream.commanding import message_of, meta_of, notes_of, write
from radstream.errors import Failure
from radstream.import_candidates import Origin, candidates, known_of, patient_of
from radstream.import_identity import Identity, differing, of_order, of_patient
from radstream.import_lines import print_candidates, print_imports, print_one
from radstream.import_performed import performed_steps
from radstream.import_remembering import remember
from radstream.import_sending import SentOn, send_on
from radstream.options import config_option, json_option, log_answers, open_config, open_log
from radstream.order_named import standing_order
from radstream.output import show
from radstream.reading import audited, catalog_snapshot, parts_answer
from streams import ris
from streams.config import Config, Site
from streams.events import ImportDecision, MppsEvent
from streams.generation import of_facts
from streams.log import Log

STEP = "import"
SHOWN_S_MAX = 30.0
_POLL_S = 0.1
_WHY_MAX = 4000
CANDIDATES_MAX = 200
ORIGINS: tuple[Origin, ...] = ("demographics", "catalog")

why_option = click.option("--why", required=True, metavar="TEXT", help="Why. Kept encrypted, outside the log.")


@click.group()
def imports() -> None:
    """Studies from outside: as whose they came, and whose they are here.

    Those are DICOM already, of another hospital or a disc. Pictures, videos, slides and volumes in other formats become
    DICOM by `radstream import`.
    """


imports.add_command(remember)


@imports.command("list")
@click.option("--all", "all_", is_flag=True, help="Also those that are reconciled.")
@click.option("--limit", type=click.IntRange(1, IMPORTS_MAX), default=100, show_default=True, help="So many at most.")
@config_option
@json_option
def list_(all_: bool, limit: int, config_path: Path, as_json: bool) -> None:
    """Studies from outside that nobody has reconciled yet, the last received first."""
    config = open_config(config_path)
    with catalog_snapshot(config) as cursor:
        found = read_imports(cursor, _tenant(config), open_only=not all_, limit=limit)
    audited(config, open_log(config), "imports_listed", "imports", {"studies": str(len(found))})
    show(as_json, found, lambda: print_imports(found, limit))


@imports.command("show")
@click.argument("study_uid", metavar="UID")
@config_option
@json_option
def show_(study_uid: str, config_path: Path, as_json: bool) -> None:
    """Show as whose a study came, whose it is here, who decided that, and why."""
    config = open_config(config_path)
    found = _one(config, study_uid)
    audited(config, open_log(config), "import_shown", study_uid, {})
    show(as_json, found, lambda: print_one(found))


@imports.command("candidates")
@click.argument("study_uid", metavar="UID")
@click.option("--name", metavar="PN", help="Ask by this name (Family^Given) and not by the study's.")
@click.option(
    "--birth-date",
    metavar="YYYYMMDD",
    type=click.DateTime(("%Y%m%d",)),
    help="Ask by this date of birth and not by the study's.",
)
@click.option("--sex", type=click.Choice(("F", "M", "O")), help="Ask by this sex and not by the study's.")
@click.option("--limit", type=click.IntRange(1, CANDIDATES_MAX), default=10, show_default=True, help="So many at most.")
@config_option
@json_option
def candidates_(
    study_uid: str,
    name: str | None,
    birth_date: datetime | None,
    sex: str | None,
    limit: int,
    config_path: Path,
    as_json: bool,
) -> None:
    """Who of your patients it may be, the likeliest first: by the patient demographics supplier, and by the catalog."""
    config = open_config(config_path)
    study = _one(config, study_uid, any_study=True)
    found = candidates(config, study, known_of(study, name, f"{birth_date:%Y%m%d}" if birth_date else None, sex), limit)
    told = {"candidates": str(len(found.found)), "asked": ",".join(found.asked)}
    audited(config, open_log(config), "import_candidates", study_uid, told)
    if found.not_asked:
        click.echo(f"only the catalog was asked: {found.not_asked}", err=True)
    show(as_json, found, lambda: print_candidates(study, found))


@imports.command()
@click.argument("study_uid", metavar="UID")
@click.option("--order", "accession", metavar="ACCESSION", help="The order for the import: its patient is ours.")
@click.option("--issuer", metavar="NAME", help="Issuer of the accession number, where several have it.")
@click.option("--patient", "patient_id", metavar="ID", help="Our patient, where there is no order for the import.")
@click.option("--patient-issuer", metavar="NAME", help="Issuer of the patient ID, where several have it.")
@click.option(
    "--from",
    "origin",
    type=click.Choice(ORIGINS),
    help="Who is asked who that is; else the supplier, where there is one.",
)
@click.option("--although-different", is_flag=True, help="It is this patient, although birth date or sex differ.")
@why_option
@config_option
@json_option
def reconcile(
    study_uid: str,
    accession: str | None,
    issuer: str | None,
    patient_id: str | None,
    patient_issuer: str | None,
    origin: Origin | None,
    although_different: bool,
    why: str,
    config_path: Path,
    as_json: bool,
) -> None:
    """Say whose a study is here, and wait until the catalog shows it. The last word holds.

    --patient is who your patient demographics supplier says that it is, or, where you have none, the catalog.
    """
    config = open_config(config_path)
    if accession is None and patient_id is None:
        raise Failure("whose is it? Give --order ACCESSION, or --patient ID where nobody ordered the import")
    found = _one(config, study_uid, any_study=True)
    identity = _identity(config, accession, issuer, patient_id, patient_issuer, origin)
    if (differ := differing(found, identity)) and not although_different:
        raise Failure(
            f"nothing was reconciled: {' and '.join(differ)} of the study and of our patient differ; look at both "
            f"(radstream imports show {study_uid}). If it is the same person all the same: --although-different"
        )
    _say_and_show(config, found, why, identity, as_json)


@imports.command()
@click.argument("study_uid", metavar="UID")
@why_option
@config_option
@json_option
def unreconcile(study_uid: str, why: str, config_path: Path, as_json: bool) -> None:
    """Take the identity here away again: the study is the patient's that it came with."""
    config = open_config(config_path)
    found = _one(config, study_uid)
    if not found.reconciled:
        raise Failure("nothing was done: this study is not reconciled; see: radstream imports list --all")
    _say_and_show(config, found, why, None, as_json)


def _tenant(config: Config) -> str:
    return config.section("site", Site).tenant


def _one(config: Config, study_uid: str, *, any_study: bool = False) -> Import:
    """`any_study`: also one that no rule calls from outside. Raises Failure."""
    with catalog_snapshot(config) as cursor:
        found = read_imports(cursor, _tenant(config), study_uid=study_uid, any_study=any_study)
    if not found:
        what = "no study with this UID" if any_study else "no study from outside with this UID"
        raise Failure(f"the catalog has {what}; see: radstream imports list --all")
    return found[0]


def _identity(
    config: Config,
    accession: str | None,
    issuer: str | None,
    patient_id: str | None,
    patient_issuer: str | None,
    origin: Origin | None,
) -> Identity:
    """Raises Failure where that is nobody, or more than one."""
    if accession is not None:
        identity = of_order(standing_order(config, accession, issuer))
        asked = (patient_id, patient_issuer)
        named = (identity.texts.get("PatientID"), identity.texts.get("IssuerOfPatientID"))
        if any(one is not None and one != said for one, said in zip(asked, named, strict=True)):
            raise Failure("the order is for another patient; leave --patient out, or give another --order")
        return identity
    assert patient_id is not None  # noqa: S101 - one of the two is given
    return of_patient(*patient_of(config, patient_id, patient_issuer, origin))


def _say_and_show(config: Config, before: Import, why: str, identity: Identity | None, as_json: bool) -> None:
    """The blocks first, then the audit, then the decision, then what waited for it; then waits for the catalog.

    Raises Failure.
    """
    study_uid, why = before.study_uid, why.strip()
    if not 0 < len(why) <= _WHY_MAX:
        raise Failure(f"--why: say why, in 1 to {_WHY_MAX} characters")
    log, subject = open_log(config), f"{study_uid}/{uuid.uuid4().hex}"
    with parts_answer():
        event = _decision(config, study_uid, subject, why, identity)
        performed = [] if identity is None else _performed(config, event, identity)
    audited(config, log, f"import_{event.action}", study_uid, {} if identity is None else identity.said_by)
    with log_answers():
        messages = [message_of(config, one, STEP) for one in (event, *performed)]
        write(log, messages, f"study {study_uid} {event.action}")
        sent = _sent_on(config, log, before) if identity is not None else None
    found = _shown(config, event)
    show(as_json, found, lambda: print_one(found))
    if sent is not None and sent.destinations:
        click.echo(f"{sent.instances} instances go to {', '.join(sent.destinations)}, where rules send them", err=True)
        if sent.held:
            click.echo(f"{sent.held} are held and stay: radstream quarantine list --all --study {study_uid}", err=True)


def _sent_on(config: Config, log: Log, before: Import) -> SentOn:
    with catalog_snapshot(config) as cursor:
        held = held_in(cursor, _tenant(config), before.study_uid)
    return send_on(config, log, before.study_uid, before.first_received_at, held)


def _decision(config: Config, study_uid: str, subject: str, why: str, identity: Identity | None) -> ImportDecision:
    blocks = notes_of(config)
    return ImportDecision(
        meta=meta_of(config.section("site", Site), STEP, subject),
        provenance=of_facts(STEP).provenance(),
        study_uid=study_uid,
        action="unreconciled" if identity is None else "reconciled",
        actor=account(),
        why=blocks.put_note(subject, why),
        order_id=None if identity is None else identity.order_id,
        identity=None if identity is None else blocks.put_part("import", subject, identity.texts),
    )


def _performed(config: Config, decision: ImportDecision, identity: Identity) -> list[MppsEvent]:
    """What the RIS is told of the import, once for each decision; nothing where there is no RIS, or no image yet."""
    with catalog_snapshot(config) as cursor:
        found = instances(cursor, decision.meta.tenant, decision.study_uid)
        order = _whole_order(cursor, decision)
    settings = ris.of_site(config)
    if settings is None or not found:
        return []
    at = datetime.now().astimezone()
    return performed_steps(decision, identity, order, found, notes_of(config), settings.calling_ae, at)


def _whole_order(cursor: Cursor, decision: ImportDecision) -> WholeOrder | None:
    if decision.order_id is None:
        return None
    tenant = decision.meta.tenant
    return next((whole(cursor, tenant, one) for one in orders(cursor, tenant, order_id=decision.order_id)), None)


def _shown(config: Config, event: ImportDecision) -> Import:
    """The study as the catalog has it, once the decision is there. Raises Failure where that takes too long."""
    until_s = time.monotonic() + SHOWN_S_MAX
    while time.monotonic() < until_s:
        # What is in the log is decided, also where the catalog went away since.
        with suppress(Failure), catalog_snapshot(config) as cursor:
            if has_decision(cursor, event.meta.event_id):
                return read_imports(cursor, event.meta.tenant, study_uid=event.study_uid)[0]
        time.sleep(_POLL_S)
    raise Failure(
        f"study {event.study_uid} is {event.action}: it is in the log. The catalog has not shown it in "
        f"{SHOWN_S_MAX:.0f} s; see whether it runs: radstream lag catalog"
    )
