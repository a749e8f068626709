"""What of trust ends soon, or has ended, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from radstream.checks.check import Check, broken, note
from streams.tls.ends import SOON, End

_RENEW = {
    "certificate": "Write a new one where [{section}] certificate and key are; it is read without a restart.",
    "ca": "Add the new authority to [{section}] ca, before the old one ends.",
    "crl": "Write a new list where [{section}] crl is: without one, no certificate is accepted.",
    "exception": "Give it TLS and a certificate, or another end date, and take away what has ended.",
}


def check(ends: Iterable[End], part: str, section: str) -> Iterator[Check]:
    """`section` is where the configuration names our side of TLS."""
    now = datetime.now(UTC)
    for end in sorted(ends, key=lambda one: one.at):
        sentence = end.sentence(now)
        found, mend = f"{sentence[0].upper()}{sentence[1:]}.", _RENEW[end.what].format(section=section)
        if end.at <= now and end.what != "exception":
            yield broken(part, "ends", found, mend)
        elif end.at - now < SOON:
            yield note(part, "ends", found, mend)
