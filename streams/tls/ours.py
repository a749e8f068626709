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
from cryptography.hazmat.primitives import hashes

from streams.config import ConfigError
from streams.tls.files import Files

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


def as_server(tls: Files, section: str) -> Ours:
    """For who comes to us, and has to show a certificate. Raises ConfigError, naming the file and what to do.

    `section` is where the configuration names the files, without its brackets.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    # No tickets: what peers keep would outlive this context. In it, those of TLS 1.2 are resumed for two hours at most.
    context.num_tickets = 0
    return _read(context, tls, section)


def as_client(tls: Files, section: str, *, by_host: bool) -> Ours:
    """For whom we go to: its certificate has to lead to `ca`, and, `by_host`, to be for the host that was asked for.

    Raises ConfigError, as `as_server` does.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Names of hosts are in subjectAltName alone (RFC 9525 section 2).
    context.hostname_checks_common_name = False
    context.check_hostname = by_host
    return _read(context, tls, section)


def _read(context: ssl.SSLContext, tls: Files, section: str) -> Ours:
    reading = _Reading(section)
    mode = reading.checked(tls.key, lambda: tls.key.stat().st_mode)
    if stat.S_IMODE(mode) & stat.S_IRWXO:
        raise ConfigError(f"{tls.key}: others could read this private key; chmod 600 {tls.key}")
    ends_at = {
        "certificate": reading.first_end(tls.certificate),
        "ca": reading.first_end(tls.ca),
        **({} if tls.crl is None else {"crl": reading.first_update(tls.crl)}),
    }
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHER_SUITES)
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    _load(context, tls, reading)
    return Ours(context, ends_at)


def _load(context: ssl.SSLContext, tls: Files, reading: _Reading) -> None:
    reading.checked(tls.ca, lambda: context.load_verify_locations(tls.ca))
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
    except OSError as error:
        # To see a key's mode needs less: whoever renewed it may be another user than ours.
        raise ConfigError(
            f"{tls.certificate} or {tls.key} cannot be read ({error.strerror}): both have to be readable by the user "
            f"that the service runs as; see [{reading.section}]"
        ) from None
    except _HasPassword:
        raise ConfigError(
            f"{tls.key} has a password and nobody is there to type it; write the key without one"
        ) from None
    if tls.crl is not None:
        crl = tls.crl
        reading.checked(crl, lambda: context.load_verify_locations(crl))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def first_fingerprint(certificate: Path) -> str:
    """SHA-256 (hex) of the first certificate in a file, which is the one that is shown. Raises ConfigError."""
    found = _Reading("router.tls").checked(
        certificate, lambda: x509.load_pem_x509_certificates(certificate.read_bytes())
    )
    return found[0].fingerprint(hashes.SHA256()).hex()


class _HasPassword(Exception):
    """A private key asked for one."""


def _no_password() -> NoReturn:
    raise _HasPassword


@dataclass(frozen=True)
class _Reading:
    """Reads files of a section of the configuration. What it raises is ConfigError."""

    section: str

    def first_end(self, path: Path) -> datetime:
        found = self.checked(path, lambda: x509.load_pem_x509_certificates(path.read_bytes()))
        return min(one.not_valid_after_utc for one in found)

    def first_update(self, path: Path) -> datetime:
        """When the first of the lists wants to be replaced; after that, nobody's certificate is believed."""
        texts: list[bytes] = self.checked(path, lambda: _PEM_CRL.findall(path.read_bytes()))
        lists = self.checked(path, lambda: [x509.load_pem_x509_crl(text) for text in texts])
        known = [one.next_update_utc for one in lists if one.next_update_utc is not None]
        if not known:
            raise ConfigError(f"{path} has no revocation list in PEM that says when the next one comes")
        return min(known)

    def checked(self, path: Path, read: Callable[[], T]) -> T:
        try:
            return read()
        except OSError as error:
            # ssl.SSLError is one; its text can be long, its reason is a word.
            said = error.reason if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigError(f"{path} cannot be read ({said}); see [{self.section}]") from None
        except ValueError:
            raise ConfigError(f"{path} is not PEM, or holds nothing of what [{self.section}] wants there") from None
