"""Faust is told the same of the brokers as librdkafka."""

from __future__ import annotations

import pytest

from streams.config import ConfigError

faust = pytest.importorskip("faust", reason="the extra `windows` is not installed")

from streams.windows.credentials import credentials  # noqa: E402 - needs faust

SCRAM = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "windows", "sasl.password": "drawn"}


def test_brokers_that_anybody_may_talk_to_need_nothing() -> None:
    assert credentials({}) is None


@pytest.mark.parametrize(("protocol", "secure"), [("SASL_SSL", True), ("sasl_plaintext", False)])
def test_an_account_is_the_same_account(protocol: str, secure: bool) -> None:
    made = credentials({"security.protocol": protocol, **SCRAM})
    assert isinstance(made, faust.SASLCredentials)
    assert (made.username, made.password, made.mechanism.value) == ("windows", "drawn", "SCRAM-SHA-512")
    assert made.protocol.value == protocol.upper()
    assert (made.ssl_context is not None) == secure


def test_what_faust_does_not_know_is_said() -> None:
    with pytest.raises(ConfigError, match="ROT13"):
        credentials({"security.protocol": "rot13"})
