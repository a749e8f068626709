"""Faust's way to say who we are to the brokers, from librdkafka's properties of [kafka.properties]."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from faust.auth import Credentials, SASLCredentials, SSLCredentials

from streams.config import ConfigError


def credentials(properties: Mapping[str, str]) -> Credentials | None:
    """None for brokers that anybody may talk to. Raises ConfigError for a protocol that Faust does not know."""
    protocol = properties.get("security.protocol", "plaintext").upper()
    authority = properties.get("ssl.ca.location")
    if protocol == "PLAINTEXT":
        return None
    if protocol == "SSL":
        return SSLCredentials(ssl.create_default_context(cafile=authority))
    if protocol not in ("SASL_SSL", "SASL_PLAINTEXT"):
        raise ConfigError(
            f"[kafka.properties] security.protocol {protocol}: plaintext, ssl, sasl_plaintext or sasl_ssl"
        )
    return SASLCredentials(
        username=properties.get("sasl.username"),
        password=properties.get("sasl.password"),
        mechanism=properties.get("sasl.mechanism", "PLAIN"),
        ssl_context=ssl.create_default_context(cafile=authority) if protocol == "SASL_SSL" else None,
    )
