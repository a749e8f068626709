"""`radstream.toml`: written once, then the person's own. Later starts add sections that are missing, no more."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path

from infra.local import ports
from infra.local.parts import database, kafka, registry, triton
from infra.local.parts.part import Site
from infra.local.parts.services import MODULES
from infra.local.parts.store import BUCKETS
from infra.local.state import write_private
from infra.local.tools import triton as triton_tool
from infra.local.tools import viewer
from streams import config

SCHEMA_IDS = "schema_ids.json"
SITE_KEYS = "site-keys"
CHAIN_KEYS, CHAIN_KEYS_PUBLIC = "chain-keys", "chain-keys.public"
RULES = "routes.toml"
# Rendered frames: of a laptop's disk, not more than a study or two of them.
_FRAMES_BYTES_MAX = 256 << 20

Value = str | int | Mapping[str, str | int]

NO_RULES = Path(__file__).resolve().parents[1] / "site" / "routes.toml"
HEAD = """\
# Where the parts of this stack are, and what may be set of its services. Yours to change: `radstream up` only adds
# sections that are missing. It holds secrets: keep it readable by its owner alone.
"""


def ensure(site: Site) -> None:
    """Raises ConfigError for a file that is there and cannot be read, with its line."""
    wanted = _sections(site)
    if not rules_file(site.home).exists():
        write_private(rules_file(site.home), NO_RULES.read_bytes())
    if not site.config.exists():
        write_private(site.config, (HEAD + "".join(_text(name, wanted[name]) for name in wanted)).encode())
        return
    there = config.load(site.config)
    router = tomllib.loads(site.config.read_text(encoding="utf-8")).get("router", wanted["router"])
    if "stow" not in router:
        # Of a stack from before there was STOW-RS the router does not listen for it: nothing can be posted.
        wanted["gateway"] = {key: value for key, value in wanted["gateway"].items() if key != "stow_url"}
    missing = [name for name in wanted if name not in there.names]
    if missing:
        text = site.config.read_text(encoding="utf-8").rstrip("\n") + "\n"
        write_private(site.config, (text + "".join(_text(name, wanted[name]) for name in missing)).encode())
    if stat.S_IMODE(site.config.stat().st_mode) & 0o077:
        site.say(f"{site.config}: other users could read its secrets; mode set to 0600")
        site.config.chmod(0o600)


def keys_file(home: Path) -> Path:
    return home / SITE_KEYS


def chain_keys_files(home: Path) -> tuple[Path, Path]:
    """The private keys, and the public ones."""
    return home / CHAIN_KEYS, home / CHAIN_KEYS_PUBLIC


def rules_file(home: Path) -> Path:
    return home / RULES


def _sections(site: Site) -> dict[str, Mapping[str, Value]]:
    state = site.state
    services: dict[str, dict[str, Value]] = {name: {"http_port": state.ports[f"{name}-http"]} for name in MODULES}
    for name in ("router", "worklist", "orders", "gateway", "retrieve"):
        services[name]["port"] = state.ports[name]
    for name in ("catalog", "commitment", "worklist", "gateway", "retrieve"):
        services[name]["dsn"] = database.dsn(state.ports["postgres"], state.secrets.database)
    services["gateway"]["stow_url"] = f"http://{ports.HOST}:{state.ports['stow']}"
    services["router"]["objects_folder"] = str(site.data("router") / "objects")
    services["router"]["stow"] = {"port": state.ports["stow"]}
    services["router"]["spool"] = {"folder": str(site.data("router") / "spool")}
    private, public = chain_keys_files(site.home)
    services["chains"] |= {"key_file": str(private), "public_file": str(public)}
    if viewer.is_there():
        services["gateway"]["viewer"] = str(viewer.folder())
    if "windows" in services:
        services["windows"]["folder"] = str(site.data("windows"))
    if "ai" in services and triton_tool.is_usable():
        services["ai"]["backends"] = {"triton": triton.address(state.ports["triton-grpc"])}
    return {
        "site": {"tenant": "local", "site": "local"},
        "kafka": {
            "bootstrap": kafka.bootstrap(state.ports, state.brokers),
            "schema_ids": str(site.home / SCHEMA_IDS),
        },
        "registry": {"url": registry.url(state.ports["registry"])},
        "store": {
            "endpoint": f"http://{ports.HOST}:{state.ports['store']}",
            "access_key": state.secrets.access_key,
            "secret_key": state.secrets.secret_key,
            "buckets": {name: name for name in BUCKETS},
        },
        # All buckets are folders of one disk, and what this stack commits is a show.
        "copies": {"in_one_place": True},
        "protected": {"key_file": str(keys_file(site.home))},
        "routes": {"file": str(rules_file(site.home))},
        "handover": {"folder": str(site.home / "run" / "handover")},
        "frame_cache": {"folder": str(site.home / "run" / "frames"), "folder_bytes_max": _FRAMES_BYTES_MAX},
        **services,
    }


def _text(name: str, values: Mapping[str, Value]) -> str:
    plain = "".join(f"{key} = {_value(value)}\n" for key, value in values.items() if not isinstance(value, Mapping))
    tables = "".join(_text(f"{name}.{key}", value) for key, value in values.items() if isinstance(value, Mapping))
    return f"\n[{name}]\n{plain}{tables}"


def _value(value: Value) -> str:
    """A TOML basic string, boolean or integer (TOML 1.0): paths may hold quotes and backslashes."""
    if isinstance(value, int):
        return str(value).lower()
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
