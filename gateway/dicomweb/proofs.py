"""What a header is checked by: the digest of the data set without pixel data, which validate made of the whole file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.catalog import Catalog
from gateway.dicomweb.heads import Proofs

_OF_HEADERS = (
    "SELECT digest, min(metadata_sha256) FROM verdicts "
    "WHERE tenant = %s AND digest = ANY(%s) AND metadata_sha256 IS NOT NULL GROUP BY digest"
)


def proofs(catalog: Catalog, tenant: str) -> Proofs:
    """Of files by their digests; one that was judged before this was written down has none. Raises Away, Stop."""

    async def of(digests: Sequence[str]) -> Mapping[str, str]:
        async with catalog.snapshot() as cursor:
            found = await cursor.execute(_OF_HEADERS.encode(), (tenant, list(digests)), prepare=False)
            return dict(await found.fetchall())

    return of
