"""Our side of TLS where we open the connection: the peer is proven before a byte of DICOM goes to it."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import Final

from streams.tls.certificate import Certificate, certificate_of

# X509_V_ERR_*, as OpenSSL numbers them (openssl/x509_vfy.h).
_NO_CRL, _NOT_YET, _EXPIRED, _OLD_CRL, _REVOKED, _HOST, _ADDRESS = 3, 9, 10, 12, 23, 62, 64
_NO_TLS: Final = frozenset(("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"))
_PARAMETERS: Final = frozenset(
    (
        "UNSUPPORTED_PROTOCOL",
        "NO_PROTOCOLS_AVAILABLE",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "TLSV1_ALERT_INSUFFICIENT_SECURITY",
        "DH_KEY_TOO_SMALL",
        "EE_KEY_TOO_SMALL",
        "CA_KEY_TOO_SMALL",
        "CA_MD_TOO_WEAK",
        "WRONG_CIPHER_RETURNED",
    )
)
_LOG = "Look into its log; its list of authorities must have that of [dicom.tls] certificate."


class NotSecured(OSError):
    """There is no TLS with the peer. `why` and `mend` are our own words; `why` has no full stop."""

    def __init__(self, why: str, mend: str) -> None:
        super().__init__(why)
        self.why = why
        self.mend = mend


@dataclass(frozen=True)
class Secured:
    """How one node is reached. `common_name` or `fingerprints`, where given, stand in for the host's name."""

    context: ssl.SSLContext
    host: str
    common_name: str | None = None
    fingerprints: frozenset[str] = frozenset()

    def shake_hands(self, connected: socket.socket) -> ssl.SSLSocket:
        """The connection, secured, within the timeout that it has. Raises NotSecured."""
        try:
            made = self.context.wrap_socket(connected, server_hostname=self.host)
        except (OSError, ValueError) as error:
            raise self.failure(error) from None
        try:
            self._check(certificate_of(made))
        except BaseException:
            made.close()
            raise
        return made

    def failure(self, error: Exception) -> NotSecured:
        """In words what stood in the way; none of them is the peer's."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return self._not_believed(error)
        if isinstance(error, TimeoutError):
            return NotSecured("it did not answer the TLS handshake in time", "It may have no TLS at this port.")
        if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError):
            return NotSecured(
                "it closed the connection in the TLS handshake",
                "It may have no TLS at this port, or not take our address; look into its log.",
            )
        reason = error.reason or type(error).__name__
        if reason in _NO_TLS:
            return NotSecured("what listens there does not speak TLS", "Mend port, or take tls = true away.")
        if reason in _PARAMETERS:
            return NotSecured(
                f"it has no TLS 1.2 or 1.3 with what BCP 195 wants ({reason})", "Have its vendor switch that on."
            )
        if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason or "ALERT" in reason:
            return NotSecured(f"it does not accept our certificate, or our TLS ({reason})", _LOG)
        return NotSecured(f"the TLS handshake broke off ({reason})", "Look into its log.")

    def _not_believed(self, error: ssl.SSLCertVerificationError) -> NotSecured:
        match error.verify_code:
            case code if code in (_EXPIRED, _NOT_YET):
                word = "has expired" if code == _EXPIRED else "is not valid yet"
                return NotSecured(f"its certificate {word}", "Have it renewed there; check the clocks of both.")
            case code if code in (_HOST, _ADDRESS):
                return NotSecured(
                    f"its certificate is not for the host {self.host}",
                    "Mend host; or give its common_name or fingerprints, where its names are not those of its host.",
                )
            case code if code == _REVOKED:
                return NotSecured("its certificate is revoked", "Ask whoever runs it.")
            case code if code in (_NO_CRL, _OLD_CRL):
                return NotSecured(
                    "there is no revocation list of its authority that still holds",
                    "Write one where [dicom.tls] crl is.",
                )
        return NotSecured(
            f"its certificate is not trusted: {error.verify_message}",
            "Add the authority that issued it to [dicom.tls] ca, or name it as ca of the node.",
        )

    def _check(self, certificate: Certificate) -> None:
        if self.common_name is not None and certificate.common_name != self.common_name:
            raise NotSecured(
                f"its certificate has not the common name {self.common_name}", "Mend common_name, or ask who is there."
            )
        if self.fingerprints and certificate.fingerprint not in self.fingerprints:
            raise NotSecured(
                "its certificate has none of the fingerprints that are expected",
                "If it was renewed, enter the new one; else ask who is there.",
            )
