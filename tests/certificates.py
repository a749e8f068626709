"""Authorities and certificates for tests, made when they are asked for."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CURVE = ec.SECP256R1
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, in memory and as PEM files."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    certificate_file: Path
    key_file: Path

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


class Authority:
    """Writes its files into `folder`: `ca.pem` and, once something was revoked, `crl.pem`."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._made = 0
        key = ec.generate_private_key(_CURVE())
        self.root = self._written(_certificate(name, key, name, key, days=(-2, 3650), is_authority=True), key, "ca")
        self.file = self.root.certificate_file

    def issue(
        self,
        *common_names: str,
        days: tuple[float, float] = (-1, 365),
        usage: bool = True,
        hosts: tuple[str, ...] = (),
    ) -> Identity:
        """A certificate that is good from `days[0]` to `days[1]` days from now; `usage` says for client and server.

        `hosts` are addresses or names, for subjectAltName.
        """
        key = ec.generate_private_key(_CURVE())
        issuer = self.root.certificate.subject.rfc4514_string().removeprefix("CN=")
        made = _certificate(common_names, key, issuer, self.root.key, days=days, with_usage=usage, hosts=hosts)
        return self._written(made, key, "-".join(common_names) or "nobody")

    def self_signed(self, common_name: str) -> Identity:
        """One that the authority knows nothing of; only its files lie with the others."""
        key = ec.generate_private_key(_CURVE())
        return self._written(_certificate(common_name, key, common_name, key, days=(-1, 365)), key, common_name)

    def revoke(self, identities: Iterable[Identity] = (), days: tuple[float, float] = (-1, 30)) -> Path:
        """A revocation list with those in it."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder(
            self.root.certificate.subject, now + days[0] * _DAY, now + days[1] * _DAY
        )
        for identity in identities:
            revoked = x509.RevokedCertificateBuilder(identity.certificate.serial_number, now - _DAY)
            builder = builder.add_revoked_certificate(revoked.build())
        path = self._folder / "crl.pem"
        path.write_bytes(builder.sign(self.root.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return path

    def _written(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, name: str) -> Identity:
        self._made += 1
        stem = f"{name}-{self._made}"
        files = self._folder / f"{stem}.crt.pem", self._folder / f"{stem}.key.pem"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].touch(mode=0o600)
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return Identity(certificate, key, *files)


def _certificate(
    common_names: str | Iterable[str],
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    days: tuple[float, float],
    is_authority: bool = False,
    with_usage: bool = False,
    hosts: tuple[str, ...] = (),
) -> x509.Certificate:
    now = datetime.now(UTC)
    names = (common_names,) if isinstance(common_names, str) else tuple(common_names)
    builder = x509.CertificateBuilder(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names]),
        key.public_key(),
        x509.random_serial_number(),
        now + days[0] * _DAY,
        now + days[1] * _DAY,
    ).add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    if with_usage:
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(one) for one in hosts]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def client_context(authority: Path, identity: Identity | None) -> ssl.SSLContext:
    """A scanner's side: it looks at the router's certificate, and shows its own where it has one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(authority)
    if identity is not None:
        context.load_cert_chain(identity.certificate_file, identity.key_file)
    return context


def server_context(authority: Path, identity: Identity) -> ssl.SSLContext:
    """The side of a node that wants a certificate to be shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority)
    context.load_cert_chain(identity.certificate_file, identity.key_file)
    return context
