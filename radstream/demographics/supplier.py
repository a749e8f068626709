"""The supplier itself: one connection for each query, with a deadline and a ceiling for everything that comes back."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Sequence
from datetime import datetime

from consumers.catalog.imports import Patient
from producers.orders.framing import Frames, Unframed, framed
from radstream.demographics.answer import Answer, NotAnswered, answer
from radstream.demographics.config import SECTION, Settings
from radstream.demographics.query import Known, query
from streams.tls.certificate import fingerprint_of
from streams.tls.ours import as_client
from streams.tls.reaching import NotSecured, Secured


class Supplier:
    """Raises ConfigError where files of [demographics.tls] cannot be used."""

    def __init__(self, settings: Settings, site: str) -> None:
        self._settings = settings
        self._site = site
        self._secured = _secured(settings)

    def __str__(self) -> str:
        return f"the patient demographics supplier {self._settings.host}:{self._settings.port}"

    def candidates(self, known: Known) -> Answer:
        """Whoever it may be. Names are spelt in many ways and dates are mistyped, so one of both has to be right.

        Raises NotAnswered where no query was answered.
        """
        answers, problems = [], []
        for one in _narrowed(known):
            try:
                answers.append(self.ask(one))
            except NotAnswered as error:
                problems.append(error)
        if not answers:
            raise problems[0]
        return _together(answers)

    def ask(self, known: Known) -> Answer:
        """Raises NotAnswered; its text is our own and says nothing of the patient."""
        settings = self._settings
        asked = query(known, settings, self._site, datetime.now().astimezone(), uuid.uuid4().hex[:20])
        try:
            with self._connected() as peer:
                peer.sendall(framed(asked.data))
                frames = Frames(peer, settings.answer_bytes_max, settings.answer_s, settings.answer_s)
                data = frames.next()
        except NotSecured as error:
            raise NotAnswered(f"{self}: {error.why}. {error.mend}") from None
        except Unframed as error:
            raise NotAnswered(f"{self}: its answer cannot be taken: {error.why}") from None
        except OSError as error:
            why = "it did not answer in time" if isinstance(error, TimeoutError) else _words(error)
            raise NotAnswered(f"{self} cannot be asked ({why}); see [{SECTION}], and whether it runs") from None
        if data is None:
            raise NotAnswered(f"{self} gave no answer within {settings.answer_s:g} s, or closed the connection")
        try:
            return answer(data, asked, settings.domain, settings.patients_max)
        except NotAnswered as error:
            raise NotAnswered(f"{self}: {error}") from None

    def _connected(self) -> socket.socket:
        """Raises OSError."""
        settings = self._settings
        connected = socket.create_connection((settings.host, settings.port), timeout=settings.answer_s)
        if self._secured is None:
            return connected
        try:
            return self._secured.shake_hands(connected)
        except BaseException:
            connected.close()
            raise


def _secured(settings: Settings) -> Secured | None:
    tls = settings.tls
    if tls is None:
        return None
    by_host = not (tls.common_name or tls.fingerprints)
    context = as_client(tls, f"{SECTION}.tls", by_host=by_host).context
    known = frozenset(fingerprint_of(text) for text in tls.fingerprints)
    return Secured(context, settings.host, tls.common_name, known)


def _narrowed(known: Known) -> list[Known]:
    """Queries that together find whom one mistake hides; a supplier takes all criteria of one as to be met."""
    birth_date, sex = known.birth_date, known.sex
    tried = [
        Known(name=known.family, birth_date=birth_date) if known.family and birth_date else None,
        Known(birth_date=birth_date, sex=sex) if birth_date else None,
        Known(name=f"{known.family}^{known.given}") if known.family else None,
    ]
    return list(dict.fromkeys(one for one in tried if one is not None))


def _together(answers: Sequence[Answer]) -> Answer:
    """Each patient once."""
    patients: dict[tuple[str, str], Patient] = {}
    for one in answers:
        for patient in one.patients:
            patients.setdefault((patient.issuer, patient.patient_id), patient)
    more, unusable = any(one.more for one in answers), max(one.unusable for one in answers)
    return Answer(tuple(patients.values()), more, unusable)


def _words(error: OSError) -> str:
    # The standard library writes the address into the errors of the kernel, and has no numbers for those of names.
    return str(error.strerror) if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
