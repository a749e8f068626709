"""The server's side of a handshake, for listeners with a thread for each connection."""

from __future__ import annotations

import ssl
from typing import Final

from streams import metrics

# Nobody was refused: a probe that looks whether somebody listens, or a peer that thought better of it.
CLOSED: Final = "closed"
_VERIFY_EXPIRED, _VERIFY_REVOKED = 10, 23
_NO_TLS: Final = frozenset(("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "HTTPS_PROXY_REQUEST"))
_PARAMETERS: Final = frozenset(
    (
        "UNSUPPORTED_PROTOCOL",
        "VERSION_TOO_LOW",
        "NO_SHARED_CIPHER",
        "NO_SHARED_GROUPS",
        "NO_SUITABLE_KEY_SHARE",
        "NO_SUITABLE_SIGNATURE_ALGORITHM",
        "NO_SHARED_SIGNATURE_ALGORITHMS",
    )
)


class HandshakeFailed(Exception):
    """`kind` is for a metric's label, `why` a sentence for the log; nothing in it is the peer's own text."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind
        self.why = why


def shake_hands(secured: ssl.SSLSocket, timeout_s: float) -> None:
    """With a peer that has to show a certificate of our authorities. Raises HandshakeFailed; all are counted.

    `secured` is wrapped, and has not shaken hands. `timeout_s` is of the whole handshake, and stays as the socket's.
    """
    secured.settimeout(timeout_s)
    try:
        secured.do_handshake()
    except ssl.SSLError as error:
        failed = failure(error)
    except TimeoutError:
        failed = HandshakeFailed("expired", f"its handshake was not done in {timeout_s:.0f} s")
    except (OSError, ValueError):
        failed = HandshakeFailed(CLOSED, "it closed the connection in the handshake")
    else:
        metrics.TLS_HANDSHAKES.labels("done").inc()
        return
    metrics.TLS_HANDSHAKES.labels(failed.kind).inc()
    raise failed


def failure(error: ssl.SSLError) -> HandshakeFailed:
    if isinstance(error, ssl.SSLCertVerificationError):
        kind = {_VERIFY_EXPIRED: "certificate_expired", _VERIFY_REVOKED: "certificate_revoked"}.get(error.verify_code)
        return HandshakeFailed(
            kind or "certificate_untrusted", f"its certificate is not accepted: {error.verify_message}"
        )
    reason = error.reason or ""
    if isinstance(error, ssl.SSLEOFError):
        return HandshakeFailed(CLOSED, "it closed the connection in the handshake")
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return HandshakeFailed("no_certificate", "it has no certificate to show")
    if reason in _NO_TLS:
        return HandshakeFailed("not_tls", "something that is not TLS came to the port for TLS")
    if reason in _PARAMETERS:
        return HandshakeFailed("parameters", f"it offers no TLS 1.2 or 1.3 with what BCP 195 wants ({reason})")
    if "ALERT" in reason:
        return HandshakeFailed("refused_by_peer", f"it does not accept our certificate, or our TLS ({reason})")
    return HandshakeFailed("broken", f"the handshake broke off ({reason or type(error).__name__})")
