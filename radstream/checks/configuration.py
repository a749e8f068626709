"""The configuration file: every section there, known and right; the keys it names."""

from __future__ import annotations

from collections.abc import Iterator

from consumers.ai.config import Settings as InferenceSettings
from consumers.catalog.config import Settings as CatalogSettings
from consumers.commitment import places
from consumers.commitment.config import Settings as CommitmentSettings
from consumers.derive.config import Settings as DeriveSettings
from consumers.forward.config import Settings as ForwardSettings
from consumers.tiering.config import Settings as TieringSettings
from consumers.tiering.policy import load_policy
from consumers.validate import levels_reading
from consumers.validate.config import Settings as ValidateSettings
from gateway.config import Settings as GatewaySettings
from gateway.dimse.config import Settings as RetrieveSettings
from producers.dicom_router.config import Settings as RouterSettings
from producers.orders.config import Settings as OrdersSettings
from producers.worklist.config import Settings as WorklistSettings
from radstream.checks.check import Check, broken, note, well
from radstream.checks.nodes import check as nodes_check
from radstream.demographics import config as demographics
from streams import nodes, ris
from streams.chains.config import Settings as ChainsSettings
from streams.chains.keys import Signing
from streams.config import Config, ConfigError, Kafka, Protected, Registry, Section, Service, Site, Store
from streams.framecache.config import FrameCacheSettings
from streams.handover.handover import SECTION as HANDOVER
from streams.handover.handover import Settings as HandoverSettings
from streams.lagging.config import Settings as LagSettings
from streams.nodes import Settings as DicomSettings
from streams.protected_keys import FileKeys
from streams.revisions.config import Settings as RevisionsSettings
from streams.routes.routes import of_site
from streams.routes.section import SECTION as ROUTES
from streams.routes.section import Settings as RoutesSettings
from streams.windows.config import Settings as WindowsSettings

PART = "configuration"

SERVICES: dict[str, type[Service]] = {
    "router": RouterSettings,
    "validate": ValidateSettings,
    "derive": DeriveSettings,
    "revisions": RevisionsSettings,
    "chains": ChainsSettings,
    "ai": InferenceSettings,
    "tiering": TieringSettings,
    "forward": ForwardSettings,
    "catalog": CatalogSettings,
    "commitment": CommitmentSettings,
    "lag": LagSettings,
    "orders": OrdersSettings,
    "worklist": WorklistSettings,
}
# Those that a site may do without: they are looked at where the file has them.
OPTIONAL: dict[str, type[Service]] = {
    "windows": WindowsSettings,
    "retrieve": RetrieveSettings,
    "gateway": GatewaySettings,
}
# Shared ones, likewise.
SHARED: dict[str, type[Section]] = {
    "dicom": DicomSettings,
    ROUTES: RoutesSettings,
    ris.SECTION: ris.Settings,
    demographics.SECTION: demographics.Settings,
    HANDOVER: HandoverSettings,
    "frame_cache": FrameCacheSettings,
    places.SECTION: places.Copies,
}
SECTIONS: dict[str, type[Section]] = {
    "site": Site,
    "kafka": Kafka,
    "registry": Registry,
    "store": Store,
    "protected": Protected,
    **SERVICES,
}


_APART = (
    "Keep buckets on storage of their own and name it in [copies.places]: docs/operations.md, "
    '"How far apart copies are".'
)


def services(config: Config) -> dict[str, type[Service]]:
    """What is configured, by section."""
    return {**SERVICES, **{name: kind for name, kind in OPTIONAL.items() if name in config.names}}


def check(config: Config) -> Iterator[Check]:
    yield well(PART, "file", f"{config.path} is read.")
    shared = {name: kind for name, kind in SHARED.items() if name in config.names}
    for name, kind in {**SECTIONS, **shared, **services(config)}.items():
        try:
            config.section(name, kind)
        except ConfigError as error:
            yield broken(PART, f"[{name}]", str(error), f"Mend section [{name}] of {config.path}.")
        else:
            yield well(PART, f"[{name}]", "All its values can be used.")
    for name in config.names:
        if name not in {**SECTIONS, **SHARED, **OPTIONAL}:
            known = ", ".join((*SECTIONS, *SHARED, *OPTIONAL))
            yield broken(PART, f"[{name}]", "Nothing reads this section.", f"Misspelt? There are: {known}.")
    yield from _routes(config)
    yield from _levels(config)
    yield from _copies(config)
    yield from _apart(config)
    yield from nodes_check(config, PART)
    yield from _ris(config)
    yield from _keys(config)
    yield from _chain_keys(config)


def _routes(config: Config) -> Iterator[Check]:
    try:
        found = of_site(config)
    except ConfigError as error:
        yield broken(PART, "routes", str(error), "Mend the file; then: radstream routes check")
    else:
        yield well(PART, "routes", f"{len(found.rules)} rules, {len(found.destinations)} destinations.")


def _levels(config: Config) -> Iterator[Check]:
    try:
        file = config.section("validate", ValidateSettings).rules
    except ConfigError:
        # Said above.
        return
    try:
        found = levels_reading.of_site(file)
    except ConfigError as error:
        yield broken(PART, "rules", str(error), "Mend the file; then: radstream rules check")
    else:
        if file is not None:
            yield well(PART, "rules", f"{found.count} levels are the site's own.")


def _copies(config: Config) -> Iterator[Check]:
    """More than tiering makes would never be there, and no sender would ever be told that it may delete."""
    try:
        promised = config.section("commitment", CommitmentSettings).copies
        policy = load_policy(config.section("tiering", TieringSettings).policy)
    except ConfigError:
        return
    if promised > policy.copies:
        yield broken(
            PART,
            "storage commitment",
            f"[commitment] promises {promised} copies of an image, and the policy of [tiering] makes {policy.copies}.",
            "Lower the one, or raise the other: until then no image is committed.",
        )


def _apart(config: Config) -> Iterator[Check]:
    """[store] has one endpoint for all its buckets: how far apart they lie behind it, the site alone can say."""
    try:
        promised = config.section("commitment", CommitmentSettings).copies
        stores = config.section("store", Store).buckets
        in_one_place = places.read(config).in_one_place
    except ConfigError:
        return
    try:
        lie = places.of_stores(config, promised)
    except ConfigError as error:
        yield broken(PART, "storage commitment", str(error), f"{_APART} Until then `commitment` does not start.")
        return
    if in_one_place and min(promised, len(stores)) > 1:
        yield note(
            PART,
            "storage commitment",
            f"The {promised} copies that [commitment] promises are not independent: [copies] counts buckets of one "
            "place, and what takes that object store away takes all of them. Let no scanner delete upon it.",
            _APART,
        )
    elif promised > 1:
        named = ", ".join(sorted(place or "where no entry says" for place in set(lie.values())))
        yield well(PART, "storage commitment", f"{promised} copies are promised, each in another place: {named}.")


def _ris(config: Config) -> Iterator[Check]:
    try:
        settings = ris.of_site(config)
        node = None if settings is None else nodes.node_of(config, settings.node)
    except ConfigError as error:
        yield broken(PART, "RIS", str(error), "Until then it is not told of performed steps.")
    else:
        if node is not None:
            yield well(PART, "RIS", f"It is told of performed steps: {node}.")


def _keys(config: Config) -> Iterator[Check]:
    try:
        path = config.section("protected", Protected).key_file
    except ConfigError:
        return
    try:
        keys = FileKeys(path)
    except ConfigError as error:
        yield broken(PART, "site keys", f"{error}.", "Without these keys no name can be read, and none written.")
    else:
        yield well(PART, "site keys", f"The key file can be used; blocks are encrypted with key {keys.current()}.")


def _chain_keys(config: Config) -> Iterator[Check]:
    try:
        path = config.section("chains", ChainsSettings).key_file
    except ConfigError:
        return
    try:
        keys = Signing(path)
    except ConfigError as error:
        yield broken(PART, "chain keys", f"{error}.", "Without them the order of images is kept, and nobody signs it.")
    else:
        yield well(PART, "chain keys", f"The key file can be used; chains are signed with key {keys.key_id}.")
