"""Our side of TLS: what is offered (PS3.15 annex B.12), and the files that it stands on."""

from __future__ import annotations

import re
import ssl
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NoReturn, TypeVar

from cryptography import x509

from producers.dicom_router.trust.config import Tls
from streams.config import ConfigError

# RFC 9325 section 4.2 for TLS 1.2: forward secret, authenticated encryption. Those of TLS 1.3 are all of that kind.
_CIPHER_SUITES: Final = ":".join(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        # No RSA below 2048 bits, no curve below 224, no SHA-1 (RFC 9325 section 4.5).
        "@SECLEVEL=2",
    )
)
_PEM_CRL: Final = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)

T = TypeVar("T")


@dataclass(frozen=True)
class Ours:
    """A context for connections to come, and when the first of what each file holds ends: certificate, ca, crl."""

    context: ssl.SSLContext
    ends_at: Mapping[str, datetime]


def read_ours(tls: Tls) -> Ours:
    """Raises ConfigError, naming the file and what to do."""
    mode = _checked(tls.key, lambda: tls.key.stat().st_mode)
    if stat.S_IMODE(mode) & stat.S_IRWXO:
        raise ConfigError(f"{tls.key}: others could read this private key; chmod 600 {tls.key}")
    ends_at = {
        "certificate": _first_end(tls.certificate),
        "ca": _first_end(tls.ca),
        **({} if tls.crl is None else {"crl": _first_update(tls.crl)}),
    }
    return Ours(_context(tls), ends_at)


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHER_SUITES)
    context.verify_mode = ssl.CERT_REQUIRED
    # No tickets: what peers keep would outlive this context. In it, those of TLS 1.2 are resumed for two hours at most.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    _checked(tls.ca, lambda: context.load_verify_locations(tls.ca))
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(
                f"{tls.key} is not the key of {tls.certificate}; name the two that belong together"
            ) from None
        raise ConfigError(
            f"{tls.certificate} or {tls.key} cannot be used ({error.reason}): both are PEM, the key is without a "
            "password and the certificate's RSA key has 2048 bits or more"
        ) from None
    except _HasPassword:
        raise ConfigError(
            f"{tls.key} has a password and nobody is there to type it; write the key without one"
        ) from None
    if tls.crl is not None:
        crl = tls.crl
        _checked(crl, lambda: context.load_verify_locations(crl))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


class _HasPassword(Exception):
    """A private key asked for one."""


def _no_password() -> NoReturn:
    raise _HasPassword


def _first_end(path: Path) -> datetime:
    found = _checked(path, lambda: x509.load_pem_x509_certificates(path.read_bytes()))
    return min(one.not_valid_after_utc for one in found)


def _first_update(path: Path) -> datetime:
    """When the first of the lists wants to be replaced; after that, nobody's certificate is believed."""
    texts: list[bytes] = _checked(path, lambda: _PEM_CRL.findall(path.read_bytes()))
    lists = _checked(path, lambda: [x509.load_pem_x509_crl(text) for text in texts])
    known = [one.next_update_utc for one in lists if one.next_update_utc is not None]
    if not known:
        raise ConfigError(f"{path} has no revocation list in PEM that says when the next one comes")
    return min(known)


def _checked(path: Path, read: Callable[[], T]) -> T:
    try:
        return read()
    except OSError as error:
        # ssl.SSLError is one; its text can be long, its reason is a word.
        said = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(f"{path} cannot be read ({said}); see [router.tls]") from None
    except ValueError:
        raise ConfigError(f"{path} is not PEM, or holds nothing of what [router.tls] wants there") from None
