"""The files of a service, out of the environment: configuration, schema ids, keys, whom it trusts, a site's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from streams.config import ConfigError

FOLDER = Path("/run/radstream")
TEXT = "RADSTREAM_CONFIG_TEXT"
# By variable, the file that it becomes.
FILES = {
    "RADSTREAM_SCHEMA_IDS": "schema_ids.json",
    "RADSTREAM_SITE_KEYS": "site-keys",
    "RADSTREAM_CHAIN_KEYS": "chain-keys",
    "RADSTREAM_PEERS": "peers.toml",
    "RADSTREAM_ROUTES": "routes.toml",
    "RADSTREAM_NODES": "nodes.toml",
    "RADSTREAM_FINDINGS": "findings.toml",
    "RADSTREAM_TLS_CERTIFICATE": "router.pem",
    "RADSTREAM_TLS_KEY": "router.key",
    "RADSTREAM_TLS_CA": "ca.pem",
}
_NAME = re.compile(r"@([A-Z][A-Z_]*)@")


def write(environment: Mapping[str, str], folder: Path = FOLDER) -> tuple[Path, dict[str, str]]:
    """The path of radstream.toml, and the environment without what went into files.

    Raises ConfigError for a variable that is not set, naming it and never its value.
    """
    if TEXT not in environment:
        raise ConfigError(f"{TEXT} is not set; it is the text of radstream.toml, as Terraform gives it to each task")
    used = {TEXT, *FILES}

    def filled(match: re.Match[str]) -> str:
        name = match[1]
        if name not in environment:
            raise ConfigError(f"{TEXT} asks for @{name}@ and {name} is not set; give it to the task as a secret")
        used.add(name)
        # A TOML basic string (TOML 1.0).
        return environment[name].replace("\\", "\\\\").replace('"', '\\"')

    config = folder / "radstream.toml"
    _private(config, _NAME.sub(filled, environment[TEXT]))
    for name, file in FILES.items():
        if name in environment:
            _private(folder / file, environment[name])
    return config, {name: value for name, value in environment.items() if name not in used}


def _private(path: Path, text: str) -> None:
    try:
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); give the task a folder there") from None
