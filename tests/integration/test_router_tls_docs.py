"""What docs/hospitals.md tells a person to type makes certificates, a peers file and a configuration that work."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
import tomllib
from pathlib import Path

import pytest

from producers.dicom_router.config import Settings
from producers.dicom_router.trust.config import Tls
from streams.config import Config
from tests.certificates import client_context
from tests.routers import running_router
from tests.secured import echoes, rejection

DOCS = Path(__file__).resolve().parents[2] / "docs" / "hospitals.md"


def blocks(language: str, word: str) -> str:
    """The one block in that language which has the word in it."""
    found = re.findall(rf"(?ms)^ *```{language}\n(.*?)^ *```", DOCS.read_text(encoding="utf-8"))
    (block,) = [textwrap.dedent(one) for one in found if word in one]
    return block


def test_what_the_page_says_works_as_it_stands(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is absent: the commands of docs/hospitals.md are not tried")
    subprocess.run(["bash", "-euc", blocks("sh", "CA")], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    # The addresses of the page are a hospital's; these tests have loopback.
    text = blocks("toml", "[[peer]]").replace("10.20.3.0/24", "127.0.0.1").replace("10.20.4.17", "127.0.0.7")
    (tmp_path / "peers.toml").write_text(text, encoding="utf-8")
    page = blocks("toml", "[router.tls]").replace("[router]", "[router]\nhttp_port = 1\nport = 2")
    settings = Config(tmp_path / "radstream.toml", page, tomllib.loads(page)).section("router", Settings)
    assert settings.tls is not None
    assert (settings.host, settings.tls.port) == ("0.0.0.0", 2762)  # noqa: S104
    tls = Tls(port=0, certificate=settings.tls.certificate, key=settings.tls.key, ca=settings.tls.ca)

    context = client_context(tmp_path / "ca.pem", None)
    context.load_cert_chain(tmp_path / "ct1.pem", tmp_path / "ct1.key")
    context.check_hostname = False
    with running_router(peers=settings.peers, tls=tls) as router:
        assert router.secured is not None
        assert echoes(router.secured, "CT1", context)
        assert rejection(router.secured, "XA7", context) == (1, 1, 3)
